/** The order in which guestd comes up and goes down. */
import { join } from 'node:path'
import { createApi } from '../api/api.ts'
import { openJournal } from '../commands/journal.ts'
import { checkLimits } from '../commands/plan.ts'
import { createRegistry } from '../commands/registry.ts'
import { strayWords } from '../commands/strays.ts'
import type { Config } from '../config.ts'
import { GuestdError } from '../errors.ts'
import type { Log } from '../log.ts'
import { checkSessionRequest, type Receipt } from '../protocol/schemas.ts'
import { createEvents, type EventFacts } from '../session/events.ts'
import { openWorkspace } from '../session/workspace.ts'
import { closeCgroupTree } from '../sys/cgroup.ts'
import { trimMemory } from '../sys/memory.ts'
import type { Notifier } from '../sys/notify.ts'
import { messageOf } from '../util/message-of.ts'
import { openBinding } from './binding.ts'
import { openBoot } from './boot.ts'
import { endLine, warnOfLimits } from './command-log.ts'
import { createControl } from './control.ts'
import { describeSession } from './describe.ts'
import { createExpiry } from './expiry.ts'
import { openHandOver, ownerOf } from './hand-over.ts'
import { bootId, lookAtMachine } from './machine.ts'
import { fitToMachine } from './memory-plan.ts'
import { endMachine } from './power-off.ts'
import { createReadiness } from './readiness.ts'
import { createReadyEvents } from './ready-events.ts'
import { openStopMemory } from './remembered-stop.ts'
import { openRunDir } from './run-dir.ts'
import { addresses, serve } from './serve.ts'
import { createReport, watchState } from './state-watch.ts'
import { statusLine } from './status-line.ts'
import { createStop } from './stop.ts'
import { createStoredFd } from './stored-fd.ts'
import { createTidying } from './tidy.ts'
import { createUndo, type Undo } from './undo.ts'

/** After the last command has ended, readers have this long to take their last frames. */
const LAST_FRAMES_MS = 2_000
const OTHER_SESSION =
  'runDir holds the state of a session with another workspace: its commands and its settings do not count'
const WAITS = 'the host has not set the session: PUT /v1/session'

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

async function openDaemon(opening: Opening): Promise<Daemon> {
  const { config, log, version, notifier, asked, undo } = opening
  const startedAt = new Date().toISOString()
  const runDir = openRunDir(config.runDir)
  undo.add(() => runDir.release())
  const events = createEvents(bootId())
  const report = createReport(log, events.tell)
  const binding = await openBinding(config.runDir, bootId(), config.workspace)
  if (binding.isForeign) report('other_session', OTHER_SESSION)
  const journal = openJournal({
    path: join(config.runDir, 'commands.ndjson'),
    bootId: bootId(),
    isForeign: binding.isForeign,
    failed: error => report('journal_full', `a line could not be written: ${messageOf(error)}`),
  })
  undo.add(() => journal.close())
  for (const { code, reason } of journal.problems) report(code, reason)
  const { output, reserve } = fitToMachine(config, log)
  const machine = lookAtMachine(config.runDir, reserve)
  const { cgroups } = machine
  if (cgroups !== null) undo.add(() => closeCgroupTree(cgroups))
  const sessionLog = log.child({ component: 'session' })
  const stored = createStoredFd(notifier, config.storedFds)
  const boot = openBoot(config.runDir, err =>
    log.warn({ component: 'lifecycle', err }, 'a restart of guestd would begin the lifetime anew'),
  )
  // Not evaluated before the API is served.
  const readyEvents = createReadyEvents(() => ready(), events.tell, {
    version,
    restarted: boot.restarted,
  })
  const tell = readyEvents.emit
  const handOver = openHandOver(config.runDir, boot.id)
  const owner = handOver.request === null ? null : ownerOf(handOver.request)
  const expiry = createExpiry({
    limits: () => ({
      idleMs: handOver.request?.idleMs ?? config.idleMs,
      lifetimeMs: handOver.request?.lifetimeMs ?? config.lifetimeMs,
    }),
    bornAt: boot.firstStartAt,
    busy: () => isBusy(),
    reached(limit) {
      const { idleMs, lifetimeMs } = expiry.facts()
      sessionLog.info({ limit, idleMs, lifetimeMs }, 'a limit of the session is reached')
      if (limit === 'idle') tell({ type: 'idle_limit', idleMs })
      else tell({ type: 'lifetime_limit', lifetimeMs })
      void stop.run(limit).then(stopped)
    },
  })
  /** Until there are commands there is no work. */
  let isBusy = () => false
  const { lastActivityAt } = expiry
  const around = {
    log: sessionLog,
    tell(event: EventFacts) {
      tell(event)
      if (event.type === 'workspace_mounted') void binding.note()
    },
    lastActivityAt,
  }
  const memory = openStopMemory(config.runDir, boot.id)
  const before = memory.ended
  const workspace = await openWorkspace(config, owner, stored, around, before?.receipt ?? null)
  // No event announces a folder that was there.
  if (workspace.history() === null && workspace.state().ok) void binding.note()
  /** A stop that goes on, or is over, is joined. */
  let endSession = (): Promise<unknown> => workspace.end(() => {}, 'signal')
  undo.add(() => endSession())
  const commandLog = log.child({ component: 'commands' })
  warnOfLimits(config, machine, commandLog)
  const settings = {
    ...config,
    output,
    workspace: workspace.path,
    get env() {
      return { ...config.env, ...handOver.request?.env }
    },
    get limits() {
      return { ...config.limits, ...handOver.request?.limits }
    },
  }
  const tidying = createTidying(trimMemory)
  // The start is work too.
  tidying.worked()
  const waits = () => config.requireSession && handOver.request === null
  const registry = createRegistry(settings, machine, journal, {
    admit(cwd) {
      if (waits()) throw new GuestdError('starting', WAITS)
      workspace.admit(cwd)
    },
    room: workspace.room,
    workspaceFull: workspace.fullSince,
    started: (id, user) => tell({ type: 'command_started', id, user }),
    ended(command, details) {
      expiry.touch()
      const info = command.info()
      const { id, cause, exitCode, signal } = info
      if (cause !== null) tell({ type: 'command_ended', id, cause, exitCode, signal })
      const { lifetimeMs } = expiry.facts()
      const context = { logCommands: config.logCommands, stopReason: stop.reason, lifetimeMs }
      commandLog.info(endLine(info, details, context), 'command ended')
      tidying.worked()
    },
    settled() {
      if (config.busyDescendants) expiry.touch()
    },
  })
  isBusy = () => registry.isBusy(config.busyDescendants)
  const strays = await registry.recover()
  if (strays.processes > 0) report('processes_killed', strayWords(strays))
  const saveFiles = () => {
    boot.save()
    binding.save()
    handOver.save()
    memory.save()
  }
  const state = watchState({ path: config.runDir, runDir, journal, save: saveFiles, report })
  undo.add(() => state.stop())

  const stop = createStop({
    endCommands: registry.stop,
    workspace,
    started(reason) {
      expiry.end()
      readyEvents.end()
      log.info({ component: 'lifecycle', reason }, 'stopping')
      tell({ type: 'stopping', reason })
    },
    stepped: step => sessionLog.info({ ...step }, 'stop step'),
    before,
    ended(receipt, reason) {
      try {
        memory.remember({ reason, receipt })
      } catch (err) {
        sessionLog.error({ err }, 'a restart of guestd in this boot would start the session again')
      }
      sessionLog[receipt.clean ? 'info' : 'error']({ ...receipt }, 'the session is stopped')
      tell({ type: 'stopped', ...receipt, reason })
      events.end()
    },
  })
  endSession = () => stop.run('signal')
  const ready = createReadiness({
    config,
    stop,
    workspace,
    state() {
      state.look()
      return state.reasons()
    },
    waitsFor: () => (waits() ? WAITS : null),
  })
  const stopped = async () => {
    const followed = Promise.all([stop.followed(), events.followed()])
    if (config.powerOff !== null) await endMachine(config.powerOff, followed, sessionLog)
  }
  let left: Promise<Receipt> | null = null
  const session = () =>
    describeSession({
      request: handOver.request,
      state: readyEvents.check().state,
      stop,
      workspace,
      machine,
      commands: registry,
      expiry,
      limits: { maxCommands: config.maxCommands, ...settings.limits },
      retentionMs: config.retentionMs,
      bootId: boot.id,
      startedAt,
      version,
    })
  const control = createControl({
    stop,
    workspace,
    handOver,
    check(request) {
      checkSessionRequest(request)
      checkLimits(request.limits, machine)
    },
    handedOver({ id, runtimeVersion = null }, accepted) {
      if (accepted.kind === 'renewed') {
        const { changed, more } = accepted
        sessionLog.info({ session: id, changed, more }, 'the session is renewed')
        tell({ type: 'session_renewed', id, changed: [...changed], more })
      } else {
        sessionLog.info({ session: id, runtimeVersion }, 'the session is set')
        tell({ type: 'session_set', id, runtimeVersion })
        expiry.touch()
      }
      readyEvents.check()
      expiry.watch()
    },
    stopped,
    restart() {
      memory.forget()
      sessionLog.info('the session is to be started again: guestd ends')
      // The reply under way is sent first, as at every end.
      process.kill(process.pid, 'SIGTERM')
    },
  })
  const refusal = () =>
    stop.state === 'stopped' ? new GuestdError('stopped', 'the session has been stopped') : null
  const health = { ready: readyEvents.check }
  const api = createApi({
    commands: registry,
    session,
    events,
    control,
    health,
    refusal,
    config,
    outputBytes: output.totalBytes,
    log,
    version,
  })
  const { listening, drain } = await serve(api, asked.aborted ? [] : addresses(config), config, log)
  if (!asked.aborted) {
    readyEvents.watch()
    expiry.watch()
  }
  if (before !== null) {
    readyEvents.end()
    expiry.end()
    sessionLog.warn({ ...before.receipt }, 'the session was stopped before guestd was started')
    tell({ type: 'stopped', ...before.receipt, reason: before.reason })
    events.end()
    void stopped()
  }

  const leave = async () => {
    const receipt = await stop.run('signal')
    tidying.stop()
    await drain(LAST_FRAMES_MS)
    await api.close()
    if (cgroups !== null) closeCgroupTree(cgroups)
    state.stop()
    journal.close()
    runDir.release()
    return receipt
  }

  return {
    listening,
    status: () => statusLine(session(), readyEvents.check().reasons, listening),
    stopsWithinMs: config.stopLimitMs + workspace.endsWithinMs + LAST_FRAMES_MS,
    stop() {
      if (left !== null) registry.hurry()
      left ??= leave()
      return left
    },
  }
}
