/** The order in which guestd comes up and goes down. */
import { createApi } from '../api/api.ts'
import { openJournal } from '../commands/journal.ts'
import type { Machine } from '../commands/plan.ts'
import { createRegistry } from '../commands/registry.ts'
import type { Command } from '../commands/types.ts'
import type { Config } from '../config.ts'
import { GuestdError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Receipt, SessionInfo } from '../protocol/schemas.ts'
import { API_VERSION } from '../protocol/schemas.ts'
import { openWorkspace } from '../session/workspace.ts'
import { closeCgroupTree } from '../sys/cgroup.ts'
import type { Notifier } from '../sys/notify.ts'
import { findUser } from '../sys/users.ts'
import { createControl } from './control.ts'
import { openHandOver, ownerOf } from './hand-over.ts'
import { bootId, lookAtMachine } from './machine.ts'
import { endMachine } from './power-off.ts'
import { addresses, serve } from './serve.ts'
import { fullPlaces } from './space.ts'
import { statusLine } from './status-line.ts'
import { createStop } from './stop.ts'
import { createStoredFd } from './stored-fd.ts'

/** After the last command has ended, readers have this long to take their last frames. */
const LAST_FRAMES_MS = 2_000
const WAITS = 'the host has not said which session this is: PUT /v1/session'

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

/** Journal and remains of the daemon before, then the API, then the listeners: nobody is served early. */
export async function startDaemon(
  config: Config,
  log: Log,
  version: string,
  notifier: Notifier,
): Promise<Daemon> {
  const startedAt = new Date().toISOString()
  const journal = openJournal(config.runDir, err =>
    log.error({ component: 'commands', err }, 'the journal could not be written'),
  )
  const machine = lookAtMachine(config.runDir, config.reserve)
  const sessionLog = log.child({ component: 'session' })
  const stored = createStoredFd(notifier, config.storedFds)
  const boot = bootId()
  const handOver = openHandOver(config.runDir, boot)
  const owner = handOver.request === null ? null : ownerOf(handOver.request)
  const workspace = await openWorkspace(config, owner, stored, sessionLog)
  warnOfLimits(config, machine, log)
  const commandLog = log.child({ component: 'commands' })
  const settings = {
    ...config,
    workspace: workspace.path,
    get env() {
      return { ...config.env, ...handOver.request?.env }
    },
  }
  const waits = () => config.requireSession && handOver.request === null
  const registry = createRegistry(settings, machine, journal, {
    admit(cwd) {
      if (waits()) throw new GuestdError('starting', WAITS)
      workspace.admit(cwd)
    },
    workspaceFull: workspace.fullSince,
    ended: command => commandLog.info(endLine(command, config), 'command ended'),
  })
  await registry.recover()

  const stop = createStop({
    endCommands: registry.stop,
    workspace,
    started: () => log.info({ component: 'lifecycle' }, 'stopping'),
    told: step => sessionLog.info({ ...step }, 'stop step'),
    ended: receipt =>
      sessionLog[receipt.clean ? 'info' : 'error']({ ...receipt }, 'the session is stopped'),
  })
  let left: Promise<Receipt> | null = null
  const limits = { maxCommands: config.maxCommands, ...config.limits }
  const session = (): SessionInfo => ({
    id: handOver.request?.id ?? null,
    generation: workspace.history()?.generation ?? null,
    state: stop.state,
    reason: null,
    resumed: workspace.history()?.resumed ?? false,
    recovered: (workspace.history()?.recovery.length ?? 0) > 0,
    recovery: [...(workspace.history()?.recovery ?? [])],
    workspace: workspace.state(),
    cgroup: {
      mode: machine.cgroups === null ? 'group' : 'cgroup2',
      path: machine.cgroups?.commandsPath ?? null,
      limits: [...(machine.cgroups?.controllers ?? [])],
    },
    limits,
    commands: registry.counts,
    lastStop: stop.receipt ?? workspace.history()?.lastStop ?? null,
    bootId: boot,
    startedAt,
    version,
    apiVersion: API_VERSION,
  })
  const places = [
    { name: 'root file system', path: '/' },
    { name: 'runDir', path: config.runDir },
  ]
  const ready = () => {
    const { ok, reason } = workspace.state()
    const reasons = [
      ...(stop.state === 'ready' ? [] : [`guestd is ${stop.state}`]),
      ...(isKnown(config.user) ? [] : [`user: there is no user ${config.user}`]),
      ...(waits() ? [WAITS] : []),
      ...(ok ? [] : [`workspace: ${reason}`]),
      ...fullPlaces(places),
    ]
    return { ready: reasons.length === 0, reasons }
  }
  const control = createControl(stop, workspace, handOver, async () => {
    if (config.powerOff !== null) await endMachine(config.powerOff, stop.followed(), sessionLog)
  })
  const refusal = () =>
    stop.state === 'stopped' ? new GuestdError('stopped', 'the session has been stopped') : null
  const health = { ready }
  const api = createApi({
    commands: registry,
    session,
    control,
    health,
    refusal,
    config,
    log,
    version,
  })
  const { listening, drain } = await serve(api, addresses(config), log)

  const leave = async () => {
    const receipt = await stop.run()
    await drain(LAST_FRAMES_MS)
    await api.close()
    if (machine.cgroups !== null) closeCgroupTree(machine.cgroups)
    journal.close()
    return receipt
  }

  return {
    listening,
    status: () => statusLine(session(), ready().reasons, listening),
    stopsWithinMs: config.stopLimitMs + workspace.endsWithinMs + LAST_FRAMES_MS,
    stop() {
      if (left !== null) registry.hurry()
      left ??= leave()
      return left
    },
  }
}

/** The user may be made later: it is looked up for every command. */
function isKnown(user: Config['user']): boolean {
  try {
    return user === null || findUser(user) !== null
  } catch {
    return false
  }
}

/** A limit that every command was to have, and that this machine cannot keep. */
function warnOfLimits({ limits }: Config, { cgroups, nofileHard, self }: Machine, log: Log): void {
  const controllers = cgroups?.controllers ?? []
  const missing = [
    ...(limits.memoryBytes === null || controllers.includes('memory')
      ? []
      : ['limits.memoryBytes']),
    ...(limits.pids === null || controllers.includes('pids') ? [] : ['limits.pids']),
    ...(limits.cpus === null || controllers.includes('cpu') ? [] : ['limits.cpus']),
    ...((limits.nofile ?? 0) > nofileHard && self.uid !== 0 ? ['limits.nofile'] : []),
  ]
  if (missing.length > 0)
    log.warn({ component: 'commands', missing }, 'limits that cannot be enforced here')
}

function endLine(command: Command, config: Config): object {
  const { id, cause, exitCode, signal, stage, errno, durationMs, ...rest } = command.info()
  const { stdoutBytes, stderrBytes, descendants, user } = rest
  const facts = { id, user, cause, exitCode, signal, stage, errno, durationMs }
  const text = config.logCommands ? { command: rest.commandLine } : {}
  return { ...facts, stdoutBytes, stderrBytes, descendants, ...text }
}
