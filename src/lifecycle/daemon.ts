/** The order in which guestd comes up and goes down. */
import { createApi } from '../api/api.ts'
import { openJournal } from '../commands/journal.ts'
import type { Machine } from '../commands/plan.ts'
import { createRegistry } from '../commands/registry.ts'
import type { Command } from '../commands/types.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import type { SessionInfo } from '../protocol/schemas.ts'
import { API_VERSION } from '../protocol/schemas.ts'
import type { Receipt } from '../session/receipt.ts'
import { openWorkspace } from '../session/workspace.ts'
import { closeCgroupTree } from '../sys/cgroup.ts'
import { findUser } from '../sys/users.ts'
import { bootId, lookAtMachine } from './machine.ts'
import { addresses, serve } from './serve.ts'
import { fullPlaces } from './space.ts'
import { statusLine } from './status-line.ts'

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
   * Ends the commands, unmounts the workspace, gives readers their last frames, closes the
   * listeners. Asked again, it cuts the grace of the commands short; it is one stop.
   *
   * @returns how the workspace was left; `null` where none was mounted
   */
  stop(): Promise<Receipt | null>
}

/** Journal and remains of the daemon before, then the API, then the listeners: nobody is served early. */
export async function startDaemon(config: Config, log: Log, version: string): Promise<Daemon> {
  const startedAt = new Date().toISOString()
  const journal = openJournal(config.runDir, err =>
    log.error({ component: 'commands', err }, 'the journal could not be written'),
  )
  const machine = lookAtMachine(config.runDir, config.reserve)
  const sessionLog = log.child({ component: 'session' })
  const workspace = await openWorkspace(config, sessionLog)
  warnOfLimits(config, machine, log)
  const commandLog = log.child({ component: 'commands' })
  const settings = { ...config, workspace: workspace.path }
  const registry = createRegistry(settings, machine, journal, {
    admit: workspace.admit,
    ended: command => commandLog.info(endLine(command, config), 'command ended'),
  })
  await registry.recover()

  let state: SessionInfo['state'] = 'ready'
  let stopped: Promise<Receipt | null> | null = null
  const limits = { maxCommands: config.maxCommands, ...config.limits }
  const boot = bootId()
  const session = (): SessionInfo => ({
    id: null,
    generation: null,
    state,
    reason: null,
    resumed: false,
    workspace: workspace.state(),
    cgroup: {
      mode: machine.cgroups === null ? 'group' : 'cgroup2',
      path: machine.cgroups?.commandsPath ?? null,
      limits: [...(machine.cgroups?.controllers ?? [])],
    },
    limits,
    commands: registry.counts,
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
      ...(state === 'ready' ? [] : [`guestd is ${state}`]),
      ...(isKnown(config.user) ? [] : [`user: there is no user ${config.user}`]),
      ...(ok ? [] : [`workspace: ${reason}`]),
      ...fullPlaces(places),
    ]
    return { ready: reasons.length === 0, reasons }
  }
  const api = createApi({ commands: registry, session, health: { ready }, config, log, version })
  const { listening, drain } = await serve(api, addresses(config), log)

  const shutDown = async () => {
    state = 'stopping'
    log.info({ component: 'lifecycle' }, 'stopping')
    await registry.stop()
    const receipt = await workspace.end(step => sessionLog.info({ ...step }, 'stop step'))
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
      if (stopped !== null) registry.hurry()
      stopped ??= shutDown()
      return stopped
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
