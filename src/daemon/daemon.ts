/** The order in which guestd starts and stops. */
import { createApi } from '../api/app.ts'
import type { Config } from '../config/types.ts'
import { GuestdError } from '../errors.ts'
import { createEvents } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { Receipt, SessionInfo } from '../protocol/schemas.ts'
import { addresses, serve } from '../server/serve.ts'
import { describeSession } from '../session/describe-session.ts'
import { bootId } from '../sys/boot-id.ts'
import { closeCgroupTree } from '../sys/cgroup.ts'
import type { Notifier } from '../sys/notify.ts'
import { type Cleanup, createCleanup } from './cleanup.ts'
import { openSession, type Session } from './compose-session.ts'
import { lookAtMachine } from './machine.ts'
import { fitToMachine } from './memory-plan.ts'
import { openRunState } from './run-state.ts'
import { statusLine } from './status-line.ts'
import type { SessionParts } from './types.ts'

/** How long readers have to take their last frames after the last command has ended. */
const LAST_FRAMES_MS = 2_000

export interface Daemon {
  /** The addresses that it listens on. */
  readonly listening: readonly string[]
  /** Its state in one line, which changes only when the state does. */
  status(): string
  /** Longest time that a stop takes, in milliseconds. */
  readonly stopsWithinMs: number
  /**
   * Stops the session, or joins a stop that the API began; then readers get their last frames and the listeners are
   * closed. A second call cuts the grace of the commands short: there is one stop.
   *
   * @returns how the workspace was left; `null` where there is none
   */
  stop(): Promise<Receipt | null>
}

export interface StartOptions {
  readonly config: Config
  readonly log: Log
  readonly version: string
  readonly notifier: Notifier
  /** Aborted by the first stop signal: guestd then listens on nothing. */
  readonly asked: AbortSignal
}

/**
 * Opens the state of the previous guestd, the session, the API, then the listeners: no request is served early.
 *
 * @throws StartError and others, once everything that was opened is closed
 */
export async function startDaemon(options: StartOptions): Promise<Daemon> {
  const cleanup = createCleanup()
  try {
    return await openDaemon(options, cleanup)
  } catch (error) {
    await cleanup.run()
    throw error
  }
}

async function openDaemon({ asked, ...options }: StartOptions, cleanup: Cleanup): Promise<Daemon> {
  const { config, log, version } = options
  const startedAt = new Date().toISOString()
  const events = createEvents(bootId())
  const runState = await openRunState(config, log, events.emit, cleanup)
  const { output, reserve } = fitToMachine(config, log)
  const machine = lookAtMachine(config.runDir, reserve)
  const { cgroups } = machine
  if (cgroups !== null) cleanup.add(() => closeCgroupTree(cgroups))
  const parts = { ...options, cleanup, events, runState, machine, output }
  const session = await openSession(parts)
  const { commands, control, readyEvents, stop, workspace } = session
  const describe = () => infoOf(parts, session, startedAt)
  const api = createApi({
    ...{ config, log, version, events, commands, control, session: describe },
    outputBytes: output.totalBytes,
    health: { ready: readyEvents.check },
    refusal: () =>
      stop.state === 'stopped' ? new GuestdError('stopped', 'the session has been stopped') : null,
  })
  const listen = asked.aborted ? [] : addresses(config)
  const { listening, drain } = await serve(api, listen, { ...config, version }, log)
  if (!asked.aborted) {
    readyEvents.watch()
    session.limits.watch()
  }
  announceEarlierStop(parts, session)

  const end = async () => {
    const receipt = await stop.run('signal')
    await drain(LAST_FRAMES_MS)
    await api.close()
    await cleanup.run()
    return receipt
  }
  let ending: Promise<Receipt> | null = null
  return {
    listening,
    status: () => statusLine(describe(), readyEvents.check().reasons, listening),
    stopsWithinMs: config.stopLimitMs + workspace.endsWithinMs + LAST_FRAMES_MS,
    stop() {
      if (ending !== null) commands.skipGrace()
      ending ??= end()
      return ending
    },
  }
}

/** The session was stopped before this start of guestd, and the stop still counts. */
function announceEarlierStop({ events, runState }: SessionParts, session: Session): void {
  const { ended } = runState.memory
  if (ended === null) return
  session.announcer.stoppedBefore(ended.receipt, ended.reason)
  events.end()
  void session.afterStop()
}

function infoOf(
  { config, version, machine, runState }: SessionParts,
  { workspace, commands, stop, settings, activity, limits, readyEvents }: Session,
  startedAt: string,
): SessionInfo {
  return describeSession({
    request: runState.assignment.request,
    state: readyEvents.check().state,
    ...{ stop, workspace, machine, commands, sessionLimits: limits, startedAt, version },
    limits: { maxCommands: config.maxCommands, ...settings.commandDefaults().limits },
    retentionMs: config.retentionMs,
    lastActivity: runState.clock.now(activity.idleForMs()),
    bootId: runState.boot.id,
  })
}
