/** A signal to every process of a cgroup, however many they are and however few descriptors are free. */
import { cgroupMembers } from './cgroup.ts'
import { closePidfd, openPidfd, sendSignal } from './launch.ts'
import { type SignalResult, worstOf } from './signal-result.ts'

/** Processes that are held by a pidfd at once. */
const BATCH = 32
/** Descriptors that reading the cgroup takes. */
const SPARE_FDS = 2
/** How often is looked for processes that were forked in the meantime. */
const MAX_ROUNDS = 10

/**
 * By pidfds, and only to those still in the cgroup once theirs is open: no recycled pid is hit. Processes that are
 * forked meanwhile get the signal too, unless they are forked without end.
 *
 * @returns `unreached` where there is a process that did not get it
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

/** Takes some off the list, at least one. */
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
      // Without a free descriptor: some have to wait for their turn, so that the cgroup can be read.
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
