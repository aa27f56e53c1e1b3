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
  memoryPeak,
  oomScope,
  removeCgroup,
} from '../sys/cgroup.ts'
import { signalGroup } from '../sys/process-group.ts'
import { isGroupGone, newProcessTable, processTable } from '../sys/process-table.ts'
import { signalCgroup } from '../sys/signal-cgroup.ts'
import { type SignalResult, worstOf } from '../sys/signal-result.ts'
import type { Leader } from './leader.ts'
import { findMoved, type Moved } from './moved-processes.ts'

const SIGKILL = 9

export interface Containment {
  readonly proof: 'cgroup' | 'group'
  /** The leaf in which the process starts; `null` for a process group. */
  readonly cgroupPath: string | null
  /** Takes the first process. To be called once. */
  adopt(leader: Leader): void
  /** Sends the signal to every process, also to stopped ones, and to the first one where it has left the cgroup. */
  signalAll(signal: number): SignalResult
  /** Sends SIGKILL to all, once. To be repeated until `isEmpty`. */
  kill(): void
  /** No process is in it, and the first one has exited, also where it had left. */
  isEmpty(): boolean
  /** Finds processes of the command that have left. To be called before a kill. */
  findMoved(): Moved
  /** Number of live processes, with the first one until it has exited. */
  count(): number
  usage(): CgroupUsage
  /** Whose memory ran out where the OOM killer has killed one of its processes; else `null`. */
  oomScope(): 'command' | 'machine' | null
  /** Most memory that its processes together have used at once, in bytes; `null` where the kernel does not count it. */
  peakBytes(): number | null
  /** Removes the leaf. False while it is not empty. */
  remove(): boolean
}

/** So that an id such as `cgroup.procs` is not the name of a file of the kernel. */
const LEAF_PREFIX = 'command-'

/** @param isRescue whether its leaf is outside the memory limit of all other commands */
export function createContainment(
  tree: CgroupTree | null,
  id: string,
  isRescue: boolean,
): Containment {
  if (tree === null) return inGroup()
  const parent = isRescue ? tree.rescuePath : tree.commandsPath
  return inCgroup(join(parent, LEAF_PREFIX + id), tree.countsPeak)
}

/** @param countsPeak whether the kernel has `memory.peak`: to look up a missing file costs as much as to read one */
function inCgroup(path: string, countsPeak: boolean): Containment {
  let leader: Leader | null = null
  const hasLeft = () => leader?.alive === true && !cgroupPids(path).includes(leader.pid)
  return {
    proof: 'cgroup',
    cgroupPath: path,
    adopt: first => {
      leader = first
    },
    signalAll(signal) {
      const result = signalCgroup(path, signal)
      return leader !== null && hasLeft() ? worstOf([result, leader.signal(signal)]) : result
    },
    kill() {
      killCgroup(path)
      leader?.signal(SIGKILL)
    },
    isEmpty: () => !isPopulated(path) && leader?.alive !== true,
    findMoved: () => findMoved(leader, cgroupPids(path)),
    count: () => cgroupPids(path).length,
    usage: () => cgroupUsage(path),
    oomScope: () => oomScope(path),
    peakBytes: () => (countsPeak ? memoryPeak(path) : null),
    remove: () => removeCgroup(path),
  }
}

/** Contains by process group and session: a process that leaves the session with setsid(2) escapes. */
export function inGroup(): Containment {
  let leader: Leader | null = null
  let adoptedAt = 0
  /** No process is left: from then on the group id may belong to other processes. */
  let gone = false
  const groups = (table: typeof processTable) =>
    leader === null || gone ? [] : (table()?.groupsOf(leader.pid) ?? null)
  const signalAll = (signal: number): SignalResult => {
    const found = groups(newProcessTable)
    if (found === null) return 'unreached'
    return worstOf([...new Set(found)].map(pgid => signalGroup(pgid, signal)))
  }
  const isEmpty = () => {
    if (leader === null) return true
    gone ||= !leader.alive && isGroupGone(leader.pid, adoptedAt)
    return gone
  }
  return {
    proof: 'group',
    cgroupPath: null,
    adopt: first => {
      leader = first
      adoptedAt = performance.now()
    },
    signalAll,
    kill() {
      signalAll(SIGKILL)
      leader?.signal(SIGKILL)
    },
    isEmpty,
    findMoved: () => ({ left: () => [] }),
    count: () => groups(processTable)?.length ?? 0,
    usage: () => ({ memoryBytes: null, pids: groups(processTable)?.length ?? null, cpuMs: null }),
    oomScope: () => null,
    peakBytes: () => null,
    remove: isEmpty,
  }
}
