/** The session: its workspace, its commands, its limits and its one stop. */
import { checkLimits, type Machine } from '../commands/plan.ts'
import { createRegistry, type Registry } from '../commands/registry.ts'
import { strayWords } from '../commands/strays.ts'
import type { Config } from '../config/config.ts'
import type { EventFacts, Events } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { checkSessionRequest, type SessionRequest } from '../protocol/schemas.ts'
import { type Announcer, createAnnouncer } from '../session/announcer.ts'
import { type Accepted, type HandOver, ownerOf } from '../session/assign-session.ts'
import { createMemoryWatch } from '../session/memory-watch.ts'
import { createReadiness } from '../session/readiness.ts'
import { createReadyEvents, type ReadyEvents } from '../session/ready-events.ts'
import { createExpiry, type Expiry } from '../session/session-limits.ts'
import { createStop, type Stop } from '../session/stop.ts'
import { readCommandsMemory } from '../sys/commands-memory.ts'
import { keepYoungGenerationSmall, releaseMemory } from '../sys/memory.ts'
import type { Notifier } from '../sys/notify.ts'
import { openWorkspace, type Workspace } from '../workspace/workspace.ts'
import { createCommandHooks } from './command-hooks.ts'
import { warnOfLimits } from './command-log.ts'
import { createTidying, type Tidying } from './idle-trim.ts'
import { createIpcCleaner } from './ipc-cleaner.ts'
import { endMachine } from './power-off.ts'
import type { Kept } from './run-state.ts'
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
  readonly kept: Kept
  readonly machine: Machine
  /** `output` of the settings, as this machine has room for it. */
  readonly output: Config['output']
}

export interface Session {
  readonly workspace: Workspace
  readonly registry: Registry
  readonly stop: Stop
  readonly expiry: Expiry
  readonly readyEvents: ReadyEvents
  readonly announcer: Announcer
  readonly tidying: Tidying
  /** Of commands that ask for none. */
  limits(): Config['limits']
  /** @throws GuestdError where the session cannot be as it is asked for */
  check(request: SessionRequest): void
  /** The session has been set or renewed. */
  handedOver(request: SessionRequest, accepted: NonNullable<Accepted>): void
  /** What follows a stop that no signal asked for. */
  stopped(): Promise<void>
  /** Ends what looks at `runDir`. */
  close(): void
}

const WAITS = 'the host has not set the session: PUT /v1/session'

export async function openSession(parts: SessionParts): Promise<Session> {
  const { config, log, version, undo, events, kept, machine } = parts
  const { boot, handOver, report } = kept
  const facts = { version, restarted: boot.restarted }
  // Not evaluated before the API is served.
  const readyEvents = createReadyEvents(() => ready(), events.tell, facts)
  const tell = readyEvents.emit
  const announcer = createAnnouncer(log, tell)
  const waitsFor = () => (config.requireSession && handOver.request === null ? WAITS : null)
  const expiry = createExpiry({
    limits: () => ({
      idleMs: handOver.request?.idleMs ?? config.idleMs,
      lifetimeMs: handOver.request?.lifetimeMs ?? config.lifetimeMs,
    }),
    bornAt: boot.firstStartAt,
    busy: () => isBusy(),
    reached(limit) {
      announcer.limitReached(limit, expiry.facts())
      void stop.run(limit).then(stopped)
    },
  })
  /** Until there are commands there is no work. */
  let isBusy = () => false
  const workspace = await openKeptWorkspace(parts, expiry, tell)
  /** A stop that goes on, or is over, is joined. */
  let endSession = (): Promise<unknown> => workspace.end(() => {}, 'signal')
  undo.add(() => endSession())
  const commandLog = log.child({ component: 'commands' })
  warnOfLimits(config, machine, commandLog)
  const tidying = createTidying({
    release: releaseMemory,
    resume: keepYoungGenerationSmall,
    isBusy: () => registry.isBusy(true),
  })
  // The start is work too.
  tidying.worked()
  const ipc = createIpcCleaner(() => registry.isBusy(true), commandLog)
  undo.add(() => ipc.stop())
  const settings = settingsOf(config, handOver, parts.output, workspace.path)
  const stopReason = () => stop.reason
  const hooks = {
    config,
    workspace,
    expiry,
    tidying,
    ipc,
    log: commandLog,
    tell,
    waitsFor,
    stopReason,
  }
  const registry = createRegistry(settings, machine, kept.journal, createCommandHooks(hooks))
  isBusy = () => registry.isBusy(config.busyDescendants)
  const strays = await registry.recover()
  if (strays.processes > 0) report('processes_killed', strayWords(strays))
  const state = watchState({ path: config.runDir, ...kept })
  undo.add(() => state.stop())
  const stop = createSessionStop({ parts, workspace, registry, expiry, readyEvents, announcer })
  endSession = () => stop.run('signal')
  const look = () => {
    state.look()
    return state.reasons()
  }
  const memory = createMemoryWatch(() => readCommandsMemory(machine.cgroups), tell)
  const ready = createReadiness({ config, stop, workspace, state: look, memory, waitsFor })
  const stopped = async () => {
    const followed = Promise.all([stop.followed(), events.followed()])
    if (config.powerOff !== null) await endMachine(config.powerOff, followed, sessionLogOf(log))
  }
  return {
    ...{ workspace, registry, stop, expiry, readyEvents, announcer, tidying, stopped },
    limits: () => settings.limits,
    check(request) {
      checkSessionRequest(request)
      checkLimits(request.limits, machine)
    },
    handedOver(request, accepted) {
      announcer.handedOver(request, accepted)
      if (accepted.kind === 'set') expiry.touch()
      readyEvents.check()
      expiry.watch()
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
  handOver: HandOver,
  output: Config['output'],
  workspace: string,
) {
  return {
    ...config,
    output,
    workspace,
    get env() {
      return { ...config.env, ...handOver.request?.env }
    },
    get limits() {
      return { ...config.limits, ...handOver.request?.limits }
    },
  }
}

/** Notes which workspace it is, once it is there. */
async function openKeptWorkspace(
  { config, log, notifier, kept: { binding, handOver, clock, memory } }: SessionParts,
  { idleForMs }: Expiry,
  tell: Events['tell'],
): Promise<Workspace> {
  const owner = handOver.request === null ? null : ownerOf(handOver.request)
  const around = {
    log: sessionLogOf(log),
    tell(event: EventFacts) {
      tell(event)
      if (event.type === 'workspace_mounted') void binding.note()
    },
    lastActivity: () => clock.now(idleForMs()),
    now: () => clock.now(),
    earliest: () => clock.earliest(),
  }
  const stored = createStoredFd(notifier, config.storedFds)
  const receipt = memory.ended?.receipt ?? null
  const workspace = await openWorkspace(config, owner, stored, around, receipt)
  // No event announces a folder that was there.
  if (workspace.history() === null && workspace.state().ok) void binding.note()
  return workspace
}

interface StopParts
  extends Pick<Session, 'workspace' | 'registry' | 'expiry' | 'readyEvents' | 'announcer'> {
  readonly parts: SessionParts
}

function createSessionStop(options: StopParts): Stop {
  const { parts, workspace, registry, expiry, readyEvents, announcer } = options
  const { events, kept } = parts
  const log = sessionLogOf(parts.log)
  return createStop({
    endCommands: registry.stop,
    workspace,
    started(reason) {
      expiry.end()
      readyEvents.end()
      announcer.stopping(reason)
    },
    stepped: step => log.info({ ...step }, 'stop step'),
    before: kept.memory.ended,
    ended(receipt, reason) {
      try {
        kept.memory.remember({ reason, receipt })
      } catch (err) {
        log.error({ err }, 'a restart of guestd in this boot would start the session again')
      }
      announcer.stopped(receipt, reason)
      events.end()
    },
  })
}
