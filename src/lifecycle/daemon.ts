/** The order in which guestd comes up and goes down. */
import { createServer, type Server } from 'node:http'
import { createApi } from '../api/api.ts'
import { openJournal } from '../commands/journal.ts'
import type { Machine } from '../commands/plan.ts'
import { createRegistry } from '../commands/registry.ts'
import type { Command } from '../commands/types.ts'
import type { Config, ListenAddress } from '../config.ts'
import type { Log } from '../log.ts'
import type { SessionInfo } from '../protocol/schemas.ts'
import { API_VERSION } from '../protocol/schemas.ts'
import { closeCgroupTree } from '../sys/cgroup.ts'
import { findUser } from '../sys/users.ts'
import { openListener } from './listeners.ts'
import { bootId, lookAtMachine } from './machine.ts'
import { statusLine } from './status-line.ts'
import { prepareWorkspace, workspaceState } from './workspace.ts'

/** After the last command has ended, readers have this long to take their last frames. */
const LAST_FRAMES_MS = 2_000
/** Refused connections are told at most this often. */
const REFUSED_LINE_MS = 1_000

export interface Daemon {
  /** What it listens at. */
  readonly listening: readonly string[]
  /** How it is, in a line that changes only with what it tells. */
  status(): string
  /** Longest time that a stop takes, in milliseconds. */
  readonly stopsWithinMs: number
  /**
   * Ends the commands, gives readers their last frames, closes the listeners. Asked again, it cuts
   * the grace of the commands short; it is one stop.
   */
  stop(): Promise<void>
}

/** Journal and remains of the daemon before, then the API, then the listeners: nobody is served early. */
export async function startDaemon(config: Config, log: Log, version: string): Promise<Daemon> {
  const startedAt = new Date().toISOString()
  const journal = openJournal(config.runDir, err =>
    log.error({ component: 'commands', err }, 'the journal could not be written'),
  )
  const machine = lookAtMachine(config.runDir)
  const workspace = prepareWorkspace(config.workspace, config.user, () =>
    log.warn(
      { component: 'session', path: config.workspace },
      'the workspace was missing, and has been made',
    ),
  )
  if (!workspace.ok) log.error({ component: 'session', ...workspace }, 'the workspace is not there')
  warnOfLimits(config, machine, log)
  const commandLog = log.child({ component: 'commands' })
  const registry = createRegistry(config, machine, journal, {
    ended: command => commandLog.info(endLine(command, config), 'command ended'),
  })
  await registry.recover()

  let state: SessionInfo['state'] = 'ready'
  let stopped: Promise<void> | null = null
  const limits = { maxCommands: config.maxCommands, ...config.limits }
  const boot = bootId()
  const session = (): SessionInfo => ({
    id: null,
    generation: null,
    state,
    resumed: false,
    workspace: workspaceState(config.workspace),
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
  const ready = () => {
    const { ok, reason } = workspaceState(config.workspace)
    const reasons = [
      ...(state === 'ready' ? [] : [`guestd is ${state}`]),
      ...(isKnown(config.user) ? [] : [`user: there is no user ${config.user}`]),
      ...(ok ? [] : [`workspace: ${reason}`]),
    ]
    return { ready: reasons.length === 0, reasons }
  }
  const api = createApi({ commands: registry, session, health: { ready }, config, log, version })
  await api.ready()

  const servers: Server[] = []
  const listening: string[] = []
  for (const address of addresses(config)) {
    const server = createServer(api.serverOptions, api.handler)
    api.guard(server)
    servers.push(server)
    listening.push(await openListener(server, address, logRefused(log)))
  }

  const shutDown = async () => {
    state = 'stopping'
    log.info({ component: 'lifecycle' }, 'stopping')
    await registry.stop()
    await Promise.all(servers.map(server => api.drain(server, LAST_FRAMES_MS)))
    await api.close()
    if (machine.cgroups !== null) closeCgroupTree(machine.cgroups)
    journal.close()
  }

  return {
    listening,
    status: () => statusLine(session(), ready().reasons, listening),
    stopsWithinMs: config.stopLimitMs + LAST_FRAMES_MS,
    stop() {
      if (stopped !== null) registry.hurry()
      stopped ??= shutDown()
      return stopped
    },
  }
}

/** What was named, and what was inherited without being named. */
export function addresses(config: Config): readonly ListenAddress[] {
  const named = new Set(config.listen.flatMap(one => (one.scheme === 'fd' ? [one.fd] : [])))
  const inherited = config.inheritedFds
    .filter(fd => !named.has(fd))
    .map(fd => ({ scheme: 'fd', uri: `fd:${fd}`, fd }) as const)
  return [...config.listen, ...inherited]
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

/** A process in the guest may knock as often as it likes: one line a second is enough. */
function logRefused(log: Log): (cid: number) => void {
  let connections = 0
  let last = Number.NEGATIVE_INFINITY
  return cid => {
    connections += 1
    if (performance.now() - last < REFUSED_LINE_MS) return
    last = performance.now()
    const message = 'refused vsock connections that are not from the host'
    log.warn({ component: 'api', cid, connections }, message)
    connections = 0
  }
}

function endLine(command: Command, config: Config): object {
  const { id, cause, exitCode, signal, stage, errno, durationMs, ...rest } = command.info()
  const { stdoutBytes, stderrBytes, descendants, user } = rest
  const facts = { id, user, cause, exitCode, signal, stage, errno, durationMs }
  const text = config.logCommands ? { command: rest.commandLine } : {}
  return { ...facts, stdoutBytes, stderrBytes, descendants, ...text }
}
