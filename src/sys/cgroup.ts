/**
 * cgroup v2 (the kernel's Documentation/admin-guide/cgroup-v2.rst): finds a place to write to, and reads and controls the
 * leaf of a command. A hierarchy without controllers, as in a hybrid tree, supports start in a cgroup, kill and
 * `populated`, but no limits.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { errorCode } from '../util/error-code.ts'
import { readText } from './read-text.ts'
import { keepReserve, protect, type Reserve } from './reserve.ts'

/** The controllers that limits need. */
export const LIMIT_CONTROLLERS = ['memory', 'pids', 'cpu'] as const
export type LimitController = (typeof LIMIT_CONTROLLERS)[number]

export interface CgroupTree {
  /** Each command gets a leaf below this directory. */
  readonly commandsPath: string
  /** The same for commands of root, when other commands run as another user: it has memory and tasks reserved. */
  readonly rescuePath: string
  readonly controllers: readonly LimitController[]
  /** Leaves have a `memory.peak`: the memory controller, and Linux 5.19 or later. */
  readonly countsPeak: boolean
}

/**
 * Creates `NAME/commands` and `NAME/rescue` below the cgroup of this process. It moves this process to a leaf beside
 * them, because a cgroup with processes cannot delegate controllers; when other processes share that cgroup, it does
 * without controllers. With controllers the commands are limited, so that the reserve is left to the rest of the
 * machine.
 *
 * @returns `null` when no cgroup v2 can be written
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
    // In a threaded or read-only hierarchy a leaf cannot contain processes.
    readFileSync(join(commandsPath, 'cgroup.events'))
  } catch {
    return null
  }
  const controllers = delegateControllers(own, [base, commandsPath, rescuePath])
  keepReserve(own, { all: base, ordinary: commandsPath }, controllers, reserve)
  if (controllers.includes('memory')) protect(own, join(own, SUPERVISOR), reserve)
  const countsPeak = controllers.includes('memory') && existsSync(join(commandsPath, 'memory.peak'))
  return { commandsPath, rescuePath, controllers, countsPeak }
}

/** Removes the cgroups of `openCgroupTree`. Every leaf must be removed before. */
export function closeCgroupTree(tree: CgroupTree): void {
  const { commandsPath, rescuePath } = tree
  for (const path of [rescuePath, commandsPath, dirname(commandsPath)]) removeCgroup(path)
}

/** The leaf of guestd itself, below the cgroup that it was started in. */
const SUPERVISOR = 'supervisor'

/** The path of the cgroup v2 that this process was started in: /proc/self/mountinfo and /proc/self/cgroup, proc(5). */
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

/** @param tree the cgroups that delegate controllers further, the outermost first */
function delegateControllers(own: string, tree: readonly string[]): readonly LimitController[] {
  const present = readList(join(own, 'cgroup.controllers'))
  const wanted = LIMIT_CONTROLLERS.filter(controller => present.includes(controller))
  if (wanted.length === 0) return []
  if (!enable(own, wanted)) {
    // A cgroup with processes cannot delegate (EBUSY), so this process moves to a leaf.
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

/** Kills all processes of the cgroup and below it, including concurrent forks. False when the cgroup is gone. */
export function killCgroup(path: string): boolean {
  try {
    writeFileSync(join(path, 'cgroup.kill'), '1')
    return true
  } catch {
    return killEach(path)
  }
}

/** For kernels before 5.14, without cgroup.kill. The caller repeats it until the cgroup is empty. */
function killEach(path: string): boolean {
  const pids = cgroupPids(path)
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has exited meanwhile.
    }
  }
  return pids.length > 0
}

/** Whether a live process is in the cgroup or below it. True when that cannot be read. */
export function isPopulated(path: string): boolean {
  try {
    return keyOf(readFileSync(join(path, 'cgroup.events'), 'utf8'), 'populated') !== 0
  } catch (error) {
    return !isMissing(error)
  }
}

/** As {@link cgroupMembers}; empty when it cannot be read. */
export function cgroupPids(path: string): readonly number[] {
  return cgroupMembers(path) ?? []
}

/**
 * The processes in the cgroup and below it that have a pid in this pid namespace. `null` when they cannot be read, as
 * without a free descriptor.
 */
export function cgroupMembers(path: string): readonly number[] | null {
  for (let tries = 0; tries < MEMBER_TRIES; tries++) {
    try {
      return [path, ...nested(path)].flatMap(membersOf)
    } catch (error) {
      if (!isMissing(error)) return null
      // A cgroup below it may have been removed meanwhile.
      if (!existsSync(path)) return []
    }
  }
  return null
}

/** Attempts to read a tree of cgroups that changes meanwhile. */
const MEMBER_TRIES = 5

/** A pid of 0 is a process of another pid namespace. kill(2) would signal our own group. */
function membersOf(directory: string): readonly number[] {
  try {
    const text = readFileSync(join(directory, 'cgroup.procs'), 'utf8')
    return text
      .split('\n')
      .map(Number)
      .filter(pid => pid > 0)
  } catch (error) {
    // EOPNOTSUPP: the cgroup is threaded, and its processes are listed in the one above.
    if (isMissing(error) || errorCode(error) === 'EOPNOTSUPP') return []
    throw error
  }
}

/** Removes the cgroup and the ones below it. False when a process is still in one of them. */
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
 * Whether the OOM killer has killed a process of the cgroup (memory.events), and for which limit. `oom` counts events at
 * the limit of the cgroup itself, or of one below it.
 */
export function oomScope(path: string): 'command' | 'machine' | null {
  const events = readText(join(path, 'memory.events'))
  if ((keyOf(events, 'oom_kill') ?? 0) === 0) return null
  return (keyOf(events, 'oom') ?? 0) > 0 ? 'command' : 'machine'
}

/** Peak memory, with the page cache, in bytes; `null` before Linux 5.19. */
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

/** Names of the cgroups directly below. */
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

/** All cgroups below it. */
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

/** ENODEV: it was removed while its file was open. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENODEV'].includes(errorCode(error))
}
