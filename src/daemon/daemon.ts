/** The order in which guestd comes up and goes down. */
import { createApi } from '../api/app.ts'
import type { Config } from '../config/config.ts'
import { GuestdError } from '../errors.ts'
import { createEvents } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { Receipt, SessionInfo } from '../protocol/schemas.ts'
import { addresses, serve } from '../server/serve.ts'
import { createControl } from '../session/control.ts'
import { describeSession } from '../session/describe-session.ts'
import { bootId } from '../sys/boot-id.ts'
import { closeCgroupTree } from '../sys/cgroup.ts'
import type { Notifier } from '../sys/notify.ts'
import { openSession, type Session, type SessionParts } from './compose-session.ts'
import { lookAtMachine } from './machine.ts'
import { fitToMachine } from './memory-plan.ts'
import { openRunState, type RunState } from './run-state.ts'
import { statusLine } from './status-line.ts'
import { createUndo, type Undo } from './undo.ts'

/** After the last command has ended, readers have this long to take their last frames. */
const LAST_FRAMES_MS = 2_000

export interface Daemon {
  /** What it listens at. */
  readonly listening: readonly string[]
  /** How it is, in a line that changes only with what it tells. */
  status(): string
  /** Longest time that a stop takes, in milliseconds. */
  readonly stopsWithinMs: number
  /**
   * The stop, or what is left of one that the API began; then readers get their last frames and the
   * listeners are closed. Asked again, it cuts the grace of the commands short; it is one stop.
   *
   * @returns how the workspace was left; `null` where there is none
   */
  stop(): Promise<Receipt | null>
}

/**
 * Journal and remains of the daemon before, then the API, then the listeners: no request is served early.
 *
 * @param asked aborted once a stop is asked for: then it serves nothing, and is there to be stopped
 * @throws StartError and others, once everything that was opened is closed
 */
export async function startDaemon(
  config: Config,
  log: Log,
  version: string,
  notifier: Notifier,
  asked: AbortSignal,
): Promise<Daemon> {
  const undo = createUndo()
  try {
    return await openDaemon({ config, log, version, notifier, asked, undo })
  } catch (error) {
    await undo.all()
    throw error
  }
}

interface Opening {
  readonly config: Config
  readonly log: Log
  readonly version: string
  readonly notifier: Notifier
  readonly asked: AbortSignal
  readonly undo: Undo
}

async function openDaemon({ asked, ...opening }: Opening): Promise<Daemon> {
  const { config, log, undo } = opening
  const startedAt = new Date().toISOString()
  const events = createEvents(bootId())
  const runState = await openRunState(config, log, events.emit, undo)
  const { output, reserve } = fitToMachine(config, log)
  const machine = lookAtMachine(config.runDir, reserve)
  const { cgroups } = machine
  if (cgroups !== null) undo.add(() => closeCgroupTree(cgroups))
  const parts = { ...opening, events, runState, machine, output }
  const session = await openSession(parts)
  const { workspace, registry, stop, sessionLimits, readyEvents } = session
  const describe = () => infoOf(parts, session, startedAt)
  const api = apiOf(parts, session, describe)
  const { listening, drain } = await serve(
    api,
    asked.aborted ? [] : addresses(config),
    { ...config, version: opening.version },
    log,
  )
  if (!asked.aborted) {
    readyEvents.watch()
    sessionLimits.watch()
  }
  const before = runState.memory.ended
  if (before !== null) {
    readyEvents.end()
    sessionLimits.end()
    session.announcer.stoppedBefore(before.receipt, before.reason)
    events.end()
    void session.stopped()
  }
  const leave = async () => {
    const receipt = await stop.run('signal')
    session.idleTrim.stop()
    await drain(LAST_FRAMES_MS)
    await api.close()
    if (cgroups !== null) closeCgroupTree(cgroups)
    session.close()
    runState.journal.close()
    runState.runDir.release()
    return receipt
  }
  let left: Promise<Receipt> | null = null
  return {
    listening,
    status: () => statusLine(describe(), readyEvents.check().reasons, listening),
    stopsWithinMs: config.stopLimitMs + workspace.endsWithinMs + LAST_FRAMES_MS,
    stop() {
      if (left !== null) registry.hurry()
      left ??= leave()
      return left
    },
  }
}

function apiOf(
  { config, log, version, events, runState, output }: SessionParts,
  session: Session,
  describe: () => SessionInfo,
) {
  const { workspace, registry, stop, readyEvents, stopped } = session
  const control = createControl({
    ...{ stop, workspace, assignment: runState.assignment, stopped },
    hostTime: text => session.announcer.hostTime(runState.clock.set(text)),
    temporary: {
      isBusy: () => registry.isBusy(true),
      users: () => [config.user ?? [], registry.list().map(command => command.info().user)].flat(),
    },
    check: session.check,
    sessionAssigned: session.sessionAssigned,
    restart: () => restart(runState, log),
  })
  const refusal = () =>
    stop.state === 'stopped' ? new GuestdError('stopped', 'the session has been stopped') : null
  const health = { ready: readyEvents.check }
  const shared = { config, log, version, events, outputBytes: output.totalBytes }
  return createApi({ ...shared, commands: registry, session: describe, control, health, refusal })
}

function restart({ memory }: RunState, log: Log): void {
  memory.forget()
  log.info({ component: 'session' }, 'the session is to be started again: guestd ends')
  // The reply under way is sent first, as at every end.
  process.kill(process.pid, 'SIGTERM')
}

function infoOf(
  { config, version, machine, runState }: SessionParts,
  session: Session,
  startedAt: string,
): SessionInfo {
  const { workspace, registry, stop, sessionLimits, readyEvents } = session
  return describeSession({
    request: runState.assignment.request,
    state: readyEvents.check().state,
    ...{ stop, workspace, machine, commands: registry, sessionLimits, startedAt, version },
    limits: { maxCommands: config.maxCommands, ...session.limits() },
    retentionMs: config.retentionMs,
    lastActivity: runState.clock.now(sessionLimits.idleForMs()),
    bootId: runState.boot.id,
  })
}
