/** From a run request to the input of the launch: user, environment, program, limits. */
import { isAbsolute, join, resolve } from 'node:path'
import { GuestdError } from '../errors.ts'
import type { CommandLimits, RunRequest } from '../protocol/schemas.ts'
import type { Trace } from '../protocol/trace-context.ts'
import type { CgroupTree } from '../sys/cgroup.ts'
import { largestNofile } from '../sys/file-limit.ts'
import type { LaunchSpec, UserEntry } from '../sys/native.ts'
import { findUser, loginEnv, UnknownUserError } from '../sys/users.ts'
import { traceEnv } from './effective.ts'
import { BASH, bashArgv } from './script.ts'

export interface PlanSettings {
  readonly workspace: string
  /** Default user of commands; `null` is guestd's own. */
  readonly user: string | number | null
  readonly allowRoot: boolean
  /** The image's base env, below the request's and above the login's. */
  readonly env: Readonly<Record<string, string>>
  readonly limits: Readonly<Record<keyof CommandLimits, number | null>>
}

export interface Machine {
  readonly self: UserEntry
  readonly cgroups: CgroupTree | null
  /** RLIMIT_NOFILE of guestd itself, and of a command without a limit of its own. */
  readonly nofileHard: number
  /** /proc/self/oom_score_adj of guestd. */
  readonly oomScoreAdj: number
}

export type Plan = Omit<LaunchSpec, 'stdin' | 'stdout' | 'stderr' | 'cgroupPath'> & {
  readonly user: string
}

/** RLIMIT_NOFILE as a login shell has it: programs that need more raise it themselves. */
const DEFAULT_NOFILE_SOFT = 1024
/** Added to the daemon's own: under memory pressure the kernel kills a command first (proc(5), oom_score_adj). */
const OOM_SCORE_ABOVE_DAEMON = 300
const HIGHEST_OOM_SCORE_ADJ = 1000
/** Period of cpu.max in microseconds: the kernel's default. */
const CPU_PERIOD_US = 100_000

/** @throws GuestdError `user_unknown`, `user_not_allowed`, `limit_unavailable` */
export function planLaunch(
  request: RunRequest,
  settings: PlanSettings,
  machine: Machine,
  trace: Trace | null = null,
): Plan {
  const user = chooseUser(request, settings, machine.self)
  const env = { ...loginEnv(user), ...settings.env, ...traceEnv(trace), ...request.env }
  const argv = request.argv ?? bashArgv(request.command ?? '')
  const limits = { ...settings.limits, ...request.limits }
  checkLimits(request.limits, machine)
  const nofile = limits.nofile === null ? null : nofileWithin(limits.nofile, machine)
  return {
    user: user.name,
    argv,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    paths: request.argv === undefined ? [BASH] : candidates(argv[0] ?? '', env.PATH ?? ''),
    cwd: folderOf(request, settings, machine.self, user),
    oomScoreAdj: String(
      Math.min(HIGHEST_OOM_SCORE_ADJ, Math.max(0, machine.oomScoreAdj) + OOM_SCORE_ABOVE_DAEMON),
    ),
    switchUser: machine.self.uid === 0,
    uid: user.uid,
    gid: user.gid,
    groups: user.groups,
    nofileSoft: nofile ?? Math.min(DEFAULT_NOFILE_SOFT, machine.nofileHard),
    nofileHard: nofile ?? machine.nofileHard,
    cgroupWrites: cgroupWrites(limits, machine.cgroups),
  }
}

function chooseUser(request: RunRequest, settings: PlanSettings, self: UserEntry): UserEntry {
  const wanted = request.user ?? settings.user
  const user = wanted === null ? self : knownUser(wanted)
  const refuse = (why: string) => new GuestdError('user_not_allowed', why, { field: 'user' })
  if (user.uid !== self.uid && self.uid !== 0)
    throw refuse(`guestd runs as ${self.name} and cannot start commands as ${user.name}`)
  if (isGroupAskedFor(request.user) && user.gid !== self.gid && self.uid !== 0)
    throw refuse(`guestd runs as ${self.name} and cannot start commands in group ${user.gid}`)
  if (request.user !== undefined && user.uid === 0 && !settings.allowRoot)
    throw refuse('commands may not run as root: allowRoot is false')
  if (isGroupAskedFor(request.user) && user.gid === 0 && !settings.allowRoot)
    throw refuse("commands may not run in root's group: allowRoot is false")
  return user
}

/** @throws GuestdError `user_unknown` */
function knownUser(wanted: string | number): UserEntry {
  try {
    return findUser(wanted)
  } catch (error) {
    if (!(error instanceof UnknownUserError)) throw error
    throw new GuestdError('user_unknown', error.message, { field: 'user' })
  }
}

/**
 * The workspace, unless the request names a folder. Root starts in its own home instead where commands are another
 * user's by default: programs run code that lies in the folder they start in, such as modules of Python.
 */
function folderOf(
  request: RunRequest,
  settings: PlanSettings,
  self: UserEntry,
  user: UserEntry,
): string {
  if (request.cwd !== undefined) return resolve(settings.workspace, request.cwd)
  return user.uid === 0 && !isRoot(settings.user, self) ? user.home : settings.workspace
}

/** Whether commands run as root by default. False where the user does not exist yet. */
export function isRoot(user: PlanSettings['user'], self: UserEntry): boolean {
  try {
    return (user === null ? self : findUser(user)).uid === 0
  } catch {
    return false
  }
}

/** Whether it is UID:GID; else the group comes from the system's user database. */
function isGroupAskedFor(user: RunRequest['user']): boolean {
  return typeof user === 'string' && user.includes(':')
}

/** The paths that execvp(3) would try, with the PATH of the command itself. */
function candidates(program: string, path: string): readonly string[] {
  if (program.includes('/')) return [program]
  return path
    .split(':')
    .filter(directory => isAbsolute(directory))
    .map(directory => join(directory, program))
}

/**
 * Refuses a requested limit that cannot be enforced. For a configured one the log has a warning at the start.
 *
 * @throws GuestdError `limit_unavailable`
 */
export function checkLimits(asked: CommandLimits | undefined, machine: Machine): void {
  const available = machine.cgroups?.controllers ?? []
  const refuse = (field: keyof CommandLimits, why: string) =>
    new GuestdError('limit_unavailable', why, { field: `limits.${field}` })
  const controllers = { memoryBytes: 'memory', pids: 'pids', cpus: 'cpu' } as const
  for (const field of ['memoryBytes', 'pids', 'cpus'] as const) {
    if (asked?.[field] === undefined || available.includes(controllers[field])) continue
    throw refuse(field, `guestd has no cgroup v2 with the ${controllers[field]} controller here`)
  }
  const nofile = asked?.nofile ?? 0
  if (nofile > nofileWithin(nofile, machine))
    throw refuse('nofile', `nofile is at most ${nofileWithin(nofile, machine)} here`)
}

/** The limit, or the largest that guestd can give. */
export function nofileWithin(nofile: number, { nofileHard }: Machine): number {
  return nofile <= nofileHard ? nofile : Math.min(nofile, largestNofile(nofileHard))
}

function cgroupWrites(limits: PlanSettings['limits'], tree: CgroupTree | null): readonly string[] {
  const writes: string[] = []
  const has = (controller: 'memory' | 'pids' | 'cpu') =>
    tree?.controllers.includes(controller) ?? false
  // The OOM killer kills the whole command, never a single process of it: callers can rely on the cause `oom`.
  if (has('memory')) writes.push('memory.oom.group', '1')
  if (has('memory') && limits.memoryBytes !== null)
    writes.push('memory.max', String(limits.memoryBytes))
  if (has('pids') && limits.pids !== null) writes.push('pids.max', String(limits.pids))
  if (has('cpu') && limits.cpus !== null)
    writes.push(
      'cpu.max',
      `${Math.max(1000, Math.round(limits.cpus * CPU_PERIOD_US))} ${CPU_PERIOD_US}`,
    )
  return writes
}
