/**
 * What keeps a command's processes together: its cgroup leaf, or, where no cgroup v2 can be
 * written, its process group and session.
 */
import { join } from 'node:path'
import {
  type CgroupTree,
  type CgroupUsage,
  cgroupPids,
  cgroupUsage,
  isPopulated,
  killCgroup,
  oomKills,
  removeCgroup,
} from '../sys/cgroup.ts'
import { closePidfd, openPidfd, sendSignal } from '../sys/launch.ts'
import { sessionGroups, signalGroup } from '../sys/process-group.ts'

const SIGKILL = 9

export interface Containment {
  readonly proof: 'cgroup' | 'group'
  /** The leaf to be born in; `null` in a process group. */
  readonly cgroupPath: string | null
  /** Called once with the pid of the command's first process. */
  adopt(pid: number): void
  /** Every process, stopped ones included, gets the signal. */
  signalAll(signal: number): void
  /** SIGKILL to all, once. Repeat until `isEmpty`. */
  kill(): void
  isEmpty(): boolean
  /** Live processes; the command's own is among them until it has exited. */
  count(): number
  usage(): CgroupUsage
  wasOomKilled(): boolean
  /** Gives the leaf back. False while it is not empty. */
  remove(): boolean
}

/** Keeps ids such as `cgroup.procs` from being names that the kernel uses. */
const LEAF_PREFIX = 'command-'

export function createContainment(tree: CgroupTree | null, id: string): Containment {
  return tree === null ? inGroup() : inCgroup(leafPath(tree, id))
}

export function leafPath(tree: CgroupTree, id: string): string {
  return join(tree.commandsPath, LEAF_PREFIX + id)
}

function inCgroup(path: string): Containment {
  return {
    proof: 'cgroup',
    cgroupPath: path,
    adopt: () => undefined,
    signalAll: signal => signalCgroup(path, signal),
    kill: () => void killCgroup(path),
    isEmpty: () => !isPopulated(path),
    count: () => cgroupPids(path).length,
    usage: () => cgroupUsage(path),
    wasOomKilled: () => oomKills(path) > 0,
    remove: () => removeCgroup(path),
  }
}

/** By pidfds, and only to those still in the cgroup once theirs is open: no recycled pid is hit. */
function signalCgroup(path: string, signal: number): void {
  const opened = cgroupPids(path).flatMap(pid => {
    const pidfd = openPidfd(pid)
    return pidfd === null ? [] : [{ pid, pidfd }]
  })
  const still = new Set(cgroupPids(path))
  for (const { pid, pidfd } of opened) {
    if (still.has(pid)) sendSignal(pidfd, signal)
    closePidfd(pidfd)
  }
}

/** By process group and session: who leaves the session with setsid(2) is not held. */
export function inGroup(): Containment {
  let leader: number | null = null
  /** Once nobody is left the id may become somebody else's. */
  let gone = false
  /** `null`: not known. */
  const groups = () => (leader === null || gone ? [] : sessionGroups(leader))
  const signalAll = (signal: number) => {
    for (const pgid of new Set(groups() ?? [])) signalGroup(pgid, signal)
  }
  const isEmpty = () => {
    // Twice: a process that forks and exits while /proc is read can be missed, and its child too.
    const empty = groups()?.length === 0 && groups()?.length === 0
    gone = empty && leader !== null
    return empty
  }
  return {
    proof: 'group',
    cgroupPath: null,
    adopt: pid => {
      leader = pid
    },
    signalAll,
    kill: () => signalAll(SIGKILL),
    isEmpty,
    count: () => groups()?.length ?? 0,
    usage: () => ({ memoryBytes: null, pids: groups()?.length ?? null, cpuMs: null }),
    wasOomKilled: () => false,
    remove: isEmpty,
  }
}
