/** The session: its workspace, its commands, its limits and its one stop. */
import { checkLimits, type Machine } from '../commands/plan.ts'
import { createRegistry, type Registry } from '../commands/registry.ts'
import { strayWords } from '../commands/strays.ts'
import type { Config } from '../config/config.ts'
import type { EventFacts, Events } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { checkSessionRequest, type SessionRequest } from '../protocol/schemas.ts'
import { type Announcer, createAnnouncer } from '../session/announcer.ts'
import { type Assigned, ownerOf, type SessionAssignment } from '../session/assign-session.ts'
import { createMemoryWatch } from '../session/memory-watch.ts'
import { createReadiness } from '../session/readiness.ts'
import { createReadyEvents, type ReadyEvents } from '../session/ready-events.ts'
import { createSessionLimits, type SessionLimits } from '../session/session-limits.ts'
import { createStop, type Stop } from '../session/stop.ts'
import { readCommandsMemory } from '../sys/commands-memory.ts'
import { keepYoungGenerationSmall, releaseMemory } from '../sys/memory.ts'
import type { Notifier } from '../sys/notify.ts'
import { openWorkspace, type Workspace } from '../workspace/workspace.ts'
import { createCommandHooks } from './command-hooks.ts'
import { warnOfLimits } from './command-log.ts'
import { createIdleTrim, type IdleTrim } from './idle-trim.ts'
import { createIpcCleaner } from './ipc-cleaner.ts'
import { endMachine } from './power-off.ts'
import type { RunState } from './run-state.ts'
import { watchState } from './state-watch.ts'
import { createStoredFd } from './stored-fd.ts'
import type { Undo } from './undo.ts'

export interface SessionParts {
  readonly config: Config
  readonly log: Log
  readonly version: string
  readonly notifier: Notifier
  readonly undo: Undo
  readonly events: Events
  readonly runState: RunState
  readonly machine: Machine
  /** `output` of the settings, as this machine has room for it. */
  readonly output: Config['output']
}

export interface Session {
  readonly workspace: Workspace
  readonly registry: Registry
  readonly stop: Stop
  readonly sessionLimits: SessionLimits
  readonly readyEvents: ReadyEvents
  readonly announcer: Announcer
  readonly idleTrim: IdleTrim
  /** Of commands that ask for none. */
  limits(): Config['limits']
  /** @throws GuestdError where the session cannot be as it is asked for */
  check(request: SessionRequest): void
  /** The session has been set or renewed. */
  sessionAssigned(request: SessionRequest, assigned: NonNullable<Assigned>): void
  /** What follows a stop that no signal asked for. */
  stopped(): Promise<void>
  /** Ends what looks at `runDir`. */
  close(): void
}

const WAITS = 'the host has not set the session: PUT /v1/session'

export async function openSession(parts: SessionParts): Promise<Session> {
  const { config, log, version, undo, events, runState, machine } = parts
  const { boot, assignment, report } = runState
  const facts = { version, restarted: boot.restarted }
  // Not evaluated before the API is served.
  const readyEvents = createReadyEvents(() => ready(), events.emit, facts)
  const emit = readyEvents.emit
  const announcer = createAnnouncer(log, emit)
  const waitsFor = () => (config.requireSession && assignment.request === null ? WAITS : null)
  const sessionLimits = createSessionLimits({
    limits: () => ({
      idleMs: assignment.request?.idleMs ?? config.idleMs,
      lifetimeMs: assignment.request?.lifetimeMs ?? config.lifetimeMs,
    }),
    bornAt: boot.firstStartAt,
    busy: () => isBusy(),
    reached(limit) {
      announcer.limitReached(limit, sessionLimits.facts())
      void stop.run(limit).then(stopped)
    },
  })
  /** Until there are commands there is no work. */
  let isBusy = () => false
  const workspace = await openSessionWorkspace(parts, sessionLimits, emit)
  /** A stop that goes on, or is over, is joined. */
  let endSession = (): Promise<unknown> => workspace.end(() => {}, 'signal')
  undo.add(() => endSession())
  const commandLog = log.child({ component: 'commands' })
  warnOfLimits(config, machine, commandLog)
  const idleTrim = createIdleTrim({
    release: releaseMemory,
    resume: keepYoungGenerationSmall,
    isBusy: () => registry.isBusy(true),
  })
  // The start is work too.
  idleTrim.touch()
  const ipc = createIpcCleaner(() => registry.isBusy(true), commandLog)
  undo.add(() => ipc.stop())
  const settings = settingsOf(config, assignment, parts.output, workspace.path)
  const stopReason = () => stop.reason
  const hooks = {
    config,
    workspace,
    sessionLimits,
    idleTrim,
    ipc,
    log: commandLog,
    emit,
    waitsFor,
    stopReason,
  }
  const registry = createRegistry(settings, machine, runState.journal, createCommandHooks(hooks))
  isBusy = () => registry.isBusy(config.busyDescendants)
  const strays = await registry.recover()
  if (strays.processes > 0) report('processes_killed', strayWords(strays))
  const state = watchState({ path: config.runDir, ...runState })
  undo.add(() => state.stop())
  const stop = createSessionStop({
    parts,
    workspace,
    registry,
    sessionLimits,
    readyEvents,
    announcer,
  })
  endSession = () => stop.run('signal')
  const look = () => {
    state.look()
    return state.reasons()
  }
  const memory = createMemoryWatch(() => readCommandsMemory(machine.cgroups), emit)
  const ready = createReadiness({ config, stop, workspace, state: look, memory, waitsFor })
  const stopped = async () => {
    const followed = Promise.all([stop.followed(), events.followed()])
    if (config.powerOff !== null) await endMachine(config.powerOff, followed, sessionLogOf(log))
  }
  return {
    ...{ workspace, registry, stop, sessionLimits, readyEvents, announcer, idleTrim, stopped },
    limits: () => settings.limits,
    check(request) {
      checkSessionRequest(request)
      checkLimits(request.limits, machine)
    },
    sessionAssigned(request, assigned) {
      announcer.sessionAssigned(request, assigned)
      if (assigned.kind === 'set') sessionLimits.touch()
      readyEvents.check()
      sessionLimits.watch()
    },
    close() {
      ipc.stop()
      state.stop()
    },
  }
}

function sessionLogOf(log: Log): Log {
  return log.child({ component: 'session' })
}

/** The settings of commands: what the host has set goes over what is configured. */
function settingsOf(
  config: Config,
  assignment: SessionAssignment,
  output: Config['output'],
  workspace: string,
) {
  return {
    ...config,
    output,
    workspace,
    get env() {
      return { ...config.env, ...assignment.request?.env }
    },
    get limits() {
      return { ...config.limits, ...assignment.request?.limits }
    },
  }
}

/** Notes which workspace it is, once it is there. */
async function openSessionWorkspace(
  { config, log, notifier, runState: { binding, assignment, clock, memory } }: SessionParts,
  { idleForMs }: SessionLimits,
  emit: Events['emit'],
): Promise<Workspace> {
  const owner = assignment.request === null ? null : ownerOf(assignment.request)
  const hooks = {
    log: sessionLogOf(log),
    emit(event: EventFacts) {
      emit(event)
      if (event.type === 'workspace_mounted') void binding.note()
    },
    lastActivity: () => clock.now(idleForMs()),
    now: () => clock.now(),
    earliest: () => clock.earliest(),
  }
  const stored = createStoredFd(notifier, config.storedFds)
  const receipt = memory.ended?.receipt ?? null
  const workspace = await openWorkspace(config, owner, stored, hooks, receipt)
  // No event announces a folder that was there.
  if (workspace.history() === null && workspace.state().ok) void binding.note()
  return workspace
}

interface StopParts
  extends Pick<Session, 'workspace' | 'registry' | 'sessionLimits' | 'readyEvents' | 'announcer'> {
  readonly parts: SessionParts
}

function createSessionStop(options: StopParts): Stop {
  const { parts, workspace, registry, sessionLimits, readyEvents, announcer } = options
  const { events, runState } = parts
  const log = sessionLogOf(parts.log)
  return createStop({
    endCommands: registry.stop,
    workspace,
    started(reason) {
      sessionLimits.end()
      readyEvents.end()
      announcer.stopping(reason)
    },
    stepped: step => log.info({ ...step }, 'stop step'),
    before: runState.memory.ended,
    ended(receipt, reason) {
      try {
        runState.memory.remember({ reason, receipt })
      } catch (err) {
        log.error({ err }, 'a restart of guestd in this boot would start the session again')
      }
      announcer.stopped(receipt, reason)
      events.end()
    },
  })
}
