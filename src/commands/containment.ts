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
  /** The leaf to be born in; `null` in a process group. */
  readonly cgroupPath: string | null
  /** Called once. */
  adopt(leader: Leader): void
  /** Every process, stopped ones included, gets the signal; so does the first one where it has left. */
  signalAll(signal: number): SignalResult
  /** SIGKILL to all, once. Repeat until `isEmpty`. */
  kill(): void
  /** No process is in it, and the first one has exited, wherever it was. */
  isEmpty(): boolean
  /** Looks, before a kill, for processes of the command that are elsewhere. */
  findMoved(): Moved
  /** Live processes; the command's own is among them until it has exited. */
  count(): number
  usage(): CgroupUsage
  /** Whose memory ran out, where the OOM killer ended one of its processes; else `null`. */
  oomScope(): 'command' | 'machine' | null
  /** Most memory that all of it has used at once, in bytes; `null` where the kernel does not count it. */
  peakBytes(): number | null
  /** Gives the leaf back. False while it is not empty. */
  remove(): boolean
}

/** Keeps ids such as `cgroup.procs` from being names that the kernel uses. */
const LEAF_PREFIX = 'command-'

/** @param isRescue whether it is beside those that may fill the memory of all commands */
export function createContainment(
  tree: CgroupTree | null,
  id: string,
  isRescue: boolean,
): Containment {
  if (tree === null) return inGroup()
  const parent = isRescue ? tree.rescuePath : tree.commandsPath
  return inCgroup(join(parent, LEAF_PREFIX + id), tree.countsPeak)
}

/** @param countsPeak to look for a file that is not there costs each command as much as to read one */
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

/** By process group and session: a process that leaves the session with setsid(2) is not held. */
export function inGroup(): Containment {
  let leader: Leader | null = null
  let adoptedAt = 0
  /** Once no process is left, the id may become that of others. */
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
