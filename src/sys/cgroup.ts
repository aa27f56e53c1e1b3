/**
 * cgroup v2 (the kernel's Documentation/admin-guide/cgroup-v2.rst): finding a place that is ours,
 * and what one command's leaf can tell and do. A hierarchy without controllers, as in a hybrid
 * tree, still gives birth in the cgroup, kill, and populated; only limits are missing.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { keepReserve, protect, type Reserve } from './reserve.ts'

/** The controllers that limits need. */
export const LIMIT_CONTROLLERS = ['memory', 'pids', 'cpu'] as const
export type LimitController = (typeof LIMIT_CONTROLLERS)[number]

export interface CgroupTree {
  /** The directory below which each command gets its leaf. */
  readonly commandsPath: string
  /**
   * The same beside it for root's commands, where others run as another user. It has memory and tasks that they
   * cannot take.
   */
  readonly rescuePath: string
  readonly controllers: readonly LimitController[]
  /** Leaves have a `memory.peak`: the memory controller, and Linux 5.19 or later. */
  readonly countsPeak: boolean
}

/**
 * Makes `NAME/commands` and `NAME/rescue` where this process may: below its own cgroup, with itself moved to a leaf
 * beside it so that controllers can be handed down (no internal processes), or else, where others
 * share that cgroup, without controllers. `null` where no cgroup v2 can be written. All commands
 * together leave the reserve to the rest of the machine, where controllers are handed down.
 */
export function openCgroupTree(name: string, reserve: Reserve): CgroupTree | null {
  const own = ownCgroup()
  if (own === null) return null
  const base = join(own, name)
  const commandsPath = join(base, 'commands')
  const rescuePath = join(base, 'rescue')
  try {
    mkdirSync(commandsPath, { recursive: true })
    mkdirSync(rescuePath, { recursive: true })
    // A leaf has to take processes, which a threaded or read-only hierarchy refuses.
    readFileSync(join(commandsPath, 'cgroup.events'))
  } catch {
    return null
  }
  const controllers = handDownControllers(own, [base, commandsPath, rescuePath])
  keepReserve(own, { all: base, ordinary: commandsPath }, controllers, reserve)
  if (controllers.includes('memory')) protect(own, join(own, SUPERVISOR), reserve)
  const countsPeak = controllers.includes('memory') && existsSync(join(commandsPath, 'memory.peak'))
  return { commandsPath, rescuePath, controllers, countsPeak }
}

/** Removes what `openCgroupTree` made, once every leaf is gone. */
export function closeCgroupTree(tree: CgroupTree): void {
  const { commandsPath, rescuePath } = tree
  for (const path of [rescuePath, commandsPath, dirname(commandsPath)]) removeCgroup(path)
}

/** The leaf that guestd itself is in, below the cgroup that it was given. */
const SUPERVISOR = 'supervisor'

/**
 * The mount point of cgroup2 and the place in it that this process was given: /proc/self/mountinfo, proc(5). Its own
 * leaf below that does not count.
 */
export function ownCgroup(): string | null {
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find(line => line.includes(' - cgroup2 '))
    ?.split(' ')[4]
  const place = readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .find(line => line.startsWith('0::'))
    ?.slice('0::'.length)
  if (mount === undefined || place === undefined) return null
  return join(mount, place.endsWith(`/${SUPERVISOR}`) ? dirname(place) : place)
}

/** @param tree those below it that pass them on, the outermost first */
function handDownControllers(own: string, tree: readonly string[]): readonly LimitController[] {
  const present = readList(join(own, 'cgroup.controllers'))
  const wanted = LIMIT_CONTROLLERS.filter(controller => present.includes(controller))
  if (wanted.length === 0) return []
  if (!enable(own, wanted)) {
    // Processes in a cgroup that hands controllers down are refused (EBUSY): step aside, try again.
    const leaf = join(own, SUPERVISOR)
    try {
      mkdirSync(leaf, { recursive: true })
      writeFileSync(join(leaf, 'cgroup.procs'), String(process.pid))
    } catch {
      return []
    }
    if (!enable(own, wanted)) return []
  }
  return tree.every(path => enable(path, wanted)) ? wanted : []
}

function enable(path: string, controllers: readonly LimitController[]): boolean {
  try {
    writeFileSync(
      join(path, 'cgroup.subtree_control'),
      controllers.map(controller => `+${controller}`).join(' '),
    )
    return true
  } catch {
    return false
  }
}

/** SIGKILL to all in the cgroup and below it, forks in flight included. False when it is gone. */
export function killCgroup(path: string): boolean {
  try {
    writeFileSync(join(path, 'cgroup.kill'), '1')
    return true
  } catch {
    return killEach(path)
  }
}

/** Kernels before 5.14 have no cgroup.kill: the caller repeats until the cgroup is empty. */
function killEach(path: string): boolean {
  const pids = cgroupPids(path)
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has exited in between.
    }
  }
  return pids.length > 0
}

/** Whether any live process is in the cgroup or below it. What cannot be read counts as populated. */
export function isPopulated(path: string): boolean {
  try {
    return keyOf(readFileSync(join(path, 'cgroup.events'), 'utf8'), 'populated') !== 0
  } catch (error) {
    return !isMissing(error)
  }
}

/**
 * The processes in the cgroup and below it, but for those that no pid of ours names; none where it cannot be read.
 */
export function cgroupPids(path: string): readonly number[] {
  return cgroupMembers(path) ?? []
}

/** The same; `null` where it cannot be read, as without a free descriptor. */
export function cgroupMembers(path: string): readonly number[] | null {
  for (let tries = 0; tries < MEMBER_TRIES; tries++) {
    try {
      return [path, ...nested(path)].flatMap(membersOf)
    } catch (error) {
      if (!isMissing(error)) return null
      // One below it may have been removed in the meantime.
      if (!existsSync(path)) return []
    }
  }
  return null
}

/** How often a tree of cgroups is read anew that changes while it is read. */
const MEMBER_TRIES = 5

/** 0 stands for a process that this pid namespace does not show: kill(2) would take it for our own group. */
function membersOf(directory: string): readonly number[] {
  try {
    const text = readFileSync(join(directory, 'cgroup.procs'), 'utf8')
    return text
      .split('\n')
      .map(Number)
      .filter(pid => pid > 0)
  } catch (error) {
    // EOPNOTSUPP: of a threaded cgroup the processes are those of the one above it.
    if (isMissing(error) || codeOf(error) === 'EOPNOTSUPP') return []
    throw error
  }
}

/** Removes the cgroup and what a command nested in it. False when a process is still in one. */
export function removeCgroup(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    if (isMissing(error)) return true
  }
  try {
    for (const directory of descendants(path).reverse()) rmdirSync(directory)
    rmdirSync(path)
    return true
  } catch (error) {
    return isMissing(error)
  }
}

/**
 * Whose memory ran out, where the kernel's OOM killer ended a process of the cgroup (memory.events): `oom` counts only
 * what the limit of the cgroup itself, or of one below it, has caused.
 */
export function oomScope(path: string): 'command' | 'machine' | null {
  const events = readText(join(path, 'memory.events'))
  if ((keyOf(events, 'oom_kill') ?? 0) === 0) return null
  return (keyOf(events, 'oom') ?? 0) > 0 ? 'command' : 'machine'
}

/** Most memory that it has used at once, page cache included, in bytes; Linux 5.19 and later. */
export function memoryPeak(path: string): number | null {
  return readNumber(join(path, 'memory.peak'))
}

export interface CgroupUsage {
  readonly memoryBytes: number | null
  readonly pids: number | null
  readonly cpuMs: number | null
}

export function cgroupUsage(path: string): CgroupUsage {
  const cpuMicroseconds = readKey(join(path, 'cpu.stat'), 'usage_usec')
  return {
    memoryBytes: readNumber(join(path, 'memory.current')),
    pids: readNumber(join(path, 'pids.current')) ?? cgroupPids(path).length,
    cpuMs: cpuMicroseconds === null ? null : Math.round(cpuMicroseconds / 1_000),
  }
}

/** Names of the cgroups right below. */
export function leavesOf(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .map(entry => entry.name)
  } catch {
    return []
  }
}

function descendants(path: string): string[] {
  try {
    return nested(path)
  } catch {
    return []
  }
}

/** The cgroups below it. */
function nested(path: string): string[] {
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter(entry => entry.isDirectory())
    .map(entry => join(entry.parentPath, entry.name))
}

function readList(path: string): string[] {
  return readText(path).split(/\s+/).filter(Boolean)
}

function readNumber(path: string): number | null {
  const text = readText(path).trim()
  return /^\d+$/.test(text) ? Number(text) : null
}

/** The value of `key` in a flat-keyed file. */
function readKey(path: string, key: string): number | null {
  return keyOf(readText(path), key)
}

function keyOf(text: string, key: string): number | null {
  const line = text.split('\n').find(candidate => candidate.startsWith(`${key} `))
  return line === undefined ? null : Number(line.slice(key.length + 1))
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** ENODEV: it was removed while its file was open. */
function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENODEV'
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
