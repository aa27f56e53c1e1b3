/** Signals every process of a cgroup, with few descriptors. */
import { cgroupMembers } from './cgroup.ts'
import { closePidfd, openPidfd, sendSignal } from './launch.ts'
import { type SignalResult, worstOf } from './signal-result.ts'

/** Largest number of open pidfds. */
const BATCH = 32
/** Number of descriptors that reading the cgroup needs. */
const SPARE_FDS = 2
/** Number of searches for processes that were forked meanwhile. */
const MAX_ROUNDS = 10

/**
 * Signals by pidfd, and only processes that are still in the cgroup after the pidfd is open: so a reused pid is never
 * hit. Processes that are forked meanwhile get the signal too, up to {@link MAX_ROUNDS} rounds.
 *
 * @returns `unreached` when a process has not got the signal
 */
export function signalCgroup(path: string, signal: number): SignalResult {
  const seen = new Set<number>()
  const results: SignalResult[] = []
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const members = cgroupMembers(path)
    if (members === null) return 'unreached'
    const left = members.filter(pid => !seen.has(pid))
    if (left.length === 0) break
    for (const pid of left) seen.add(pid)
    while (left.length > 0) results.push(...signalSome(path, left, signal))
  }
  return worstOf(results)
}

/** Removes at least one pid from the list, and signals it. */
function signalSome(path: string, pids: number[], signal: number): readonly SignalResult[] {
  const { opened, results } = openSome(pids)
  try {
    const members = opened.length === 0 ? [] : cgroupMembers(path)
    if (members === null) return ['unreached']
    const still = new Set(members)
    for (const { pid, pidfd } of opened) if (still.has(pid)) results.push(sendSignal(pidfd, signal))
    return results
  } finally {
    for (const { pidfd } of opened) closePidfd(pidfd)
  }
}

interface Opened {
  readonly pid: number
  readonly pidfd: number
}

function openSome(pids: number[]): { opened: readonly Opened[]; results: SignalResult[] } {
  const opened: Opened[] = []
  const results: SignalResult[] = []
  while (opened.length < BATCH) {
    const pid = pids.pop()
    if (pid === undefined) break
    const pidfd = openPidfd(pid)
    if (typeof pidfd === 'number') opened.push({ pid, pidfd })
    else if (pidfd === 'gone') results.push(pidfd)
    else if (opened.length > SPARE_FDS) {
      // No descriptor is free: close some, so that the cgroup can be read. Their processes come later.
      pids.push(pid)
      for (const { pid, pidfd } of opened.splice(-SPARE_FDS)) {
        closePidfd(pidfd)
        pids.push(pid)
      }
      break
    } else {
      results.push('unreached')
      break
    }
  }
  return { opened, results }
}
