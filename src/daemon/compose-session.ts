/**
 * The session, from top to bottom: each part gets the parts above it. A part that does work adds itself to `activity`
 * and to `stop`. A part that follows events subscribes to `events`.
 */
import { checkLimits } from '../commands/plan.ts'
import type { Registry } from '../commands/registry.ts'
import { checkSessionRequest } from '../protocol/schemas.ts'
import { type Activity, createActivity } from '../session/activity.ts'
import { type Announcer, createAnnouncer } from '../session/announcer.ts'
import { ownerOf } from '../session/assign-session.ts'
import { createTemporaryFiles, type TemporaryFiles } from '../session/clear-temporary.ts'
import { createControl, type SessionControl } from '../session/control.ts'
import { createMemoryWatch } from '../session/memory-watch.ts'
import { createReadiness } from '../session/readiness.ts'
import { createReadyEvents, type ReadyEvents } from '../session/ready-events.ts'
import { createSessionLimits, type SessionLimits } from '../session/session-limits.ts'
import { createSessionSettings, type SessionSettings } from '../session/session-settings.ts'
import { createStop, type Stop } from '../session/stop.ts'
import { readCommandsMemory } from '../sys/commands-memory.ts'
import { openWorkspace, type Workspace } from '../workspace/workspace.ts'
import { openCommands } from './open-commands.ts'
import { endMachine } from './power-off.ts'
import { watchState } from './state-watch.ts'
import { createStoredFd } from './stored-fd.ts'
import type { SessionParts } from './types.ts'

export interface Session {
  readonly announcer: Announcer
  readonly settings: SessionSettings
  readonly activity: Activity
  readonly workspace: Workspace
  readonly stop: Stop
  readonly limits: SessionLimits
  readonly commands: Registry
  readonly readyEvents: ReadyEvents
  readonly temporary: TemporaryFiles
  readonly control: SessionControl
  /** Powers the machine off after a stop by the API or a limit, if so configured. */
  afterStop(): Promise<void>
}

export async function openSession(parts: SessionParts): Promise<Session> {
  const { config, version, cleanup, events, runState, machine } = parts
  const log = parts.log.child({ component: 'session' })
  const { boot, assignment } = runState
  const announcer = createAnnouncer(parts.log, events.emit)
  const settings = createSessionSettings(config, assignment)
  const activity = createActivity()

  const workspace = await openSessionWorkspace(parts, activity)
  const stop = createSessionStop(parts, workspace, announcer)
  cleanup.add(() => stop.run('signal'))
  const isStopping = () => stop.state !== 'ready'
  const afterStop = async () => {
    const followed = Promise.all([stop.followed(), events.followed()])
    if (config.powerOff !== null) await endMachine(config.powerOff, followed, log)
  }

  const temporary = createTemporaryFiles({
    isBusy: activity.hasProcesses,
    user: config.user,
    inUse: [workspace.path, config.runDir],
  })
  const commands = await openCommands(parts, { workspace, activity, settings, stop, temporary })

  const limits = createSessionLimits({
    limits: settings.sessionLimits,
    bornAt: boot.firstStartAt,
    activity,
    isStopping,
    reached(limit) {
      announcer.limitReached(limit, settings.sessionLimits())
      void stop.run(limit).then(afterStop)
    },
  })
  const state = watchState({ path: config.runDir, ...runState })
  cleanup.add(state.stop)
  const memory = createMemoryWatch(() => readCommandsMemory(machine.cgroups), events.emit)
  const evaluate = createReadiness({ config, stop, workspace, state, memory, settings })
  const facts = { version, restarted: boot.restarted }
  const readyEvents = createReadyEvents({ evaluate, events, isStopping, facts })
  const session = {
    announcer,
    settings,
    activity,
    workspace,
    stop,
    limits,
    commands,
    readyEvents,
    temporary,
    afterStop,
  }
  return { ...session, control: createSessionControl(parts, session) }
}

/** Records which workspace it is, once it is there. */
async function openSessionWorkspace(
  { config, log, notifier, events, runState }: SessionParts,
  { idleForMs }: Activity,
): Promise<Workspace> {
  const { binding, assignment, clock, memory } = runState
  const owner = assignment.request === null ? null : ownerOf(assignment.request)
  events.subscribe(({ type }) => {
    if (type === 'workspace_mounted') void binding.note()
  })
  const hooks = {
    log: log.child({ component: 'session' }),
    emit: events.emit,
    lastActivity: () => clock.now(idleForMs()),
    now: () => clock.now(),
    earliest: () => clock.earliest(),
  }
  const stored = createStoredFd(notifier, config.storedFds)
  const receipt = memory.ended?.receipt ?? null
  const workspace = await openWorkspace(config, owner, stored, hooks, receipt)
  // A folder that exists emits no event.
  if (workspace.history() === null && workspace.state().ok) void binding.note()
  return workspace
}

function createSessionStop(
  { events, runState, ...parts }: SessionParts,
  workspace: Workspace,
  announcer: Announcer,
): Stop {
  const log = parts.log.child({ component: 'session' })
  return createStop({
    workspace,
    before: runState.memory.ended,
    started: announcer.stopping,
    stepped: step => log.info({ ...step }, 'stop step'),
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

function createSessionControl(
  { log, runState, machine }: SessionParts,
  session: Omit<Session, 'control'>,
): SessionControl {
  const { announcer, activity, workspace, stop, limits, readyEvents } = session
  return createControl({
    ...{ stop, workspace, assignment: runState.assignment, afterStop: session.afterStop },
    temporary: session.temporary,
    check(request) {
      checkSessionRequest(request)
      checkLimits(request.limits, machine)
    },
    hostTime: text => announcer.hostTime(runState.clock.set(text)),
    sessionAssigned(request, assigned) {
      announcer.sessionAssigned(request, assigned)
      if (assigned.kind === 'set') activity.touch()
      readyEvents.check()
      limits.watch()
    },
    restart() {
      runState.memory.forget()
      log.info({ component: 'session' }, 'the session is to be started again: guestd ends')
      // The stop sends the reply under way before guestd ends.
      process.kill(process.pid, 'SIGTERM')
    },
  })
}
