/** Commands of the daemon before this one: what the journal tells of them, without their output. */

import { isPopulated, killCgroup, removeCgroup } from '../sys/cgroup.ts'
import { closePidfd, openPidfd, sendSignal } from '../sys/launch.ts'
import { processStat } from '../sys/process-group.ts'
import { inGroup } from './containment.ts'
import type { Ended } from './ended-command.ts'
import { exitFacts } from './exit-facts.ts'
import type { EndRecord, Entry } from './journal.ts'
import type { Leader } from './leader.ts'
import { killUntilEmpty } from './terminate.ts'

const SIGKILL = 9

/** Kills whatever of it still lives, and resolves once no process is left. */
export function killRemains(entry: Entry): Promise<void> {
  const { cgroupPath } = entry.start
  const leader = liveLeader(entry)
  if (cgroupPath === null) {
    const containment = inGroup()
    // It is its group that is looked at: this guestd does not learn of its exit.
    if (leader !== null) containment.adopt({ ...leader, alive: false })
    return killUntilEmpty(containment)
  }
  return killUntilEmpty({
    kill() {
      killCgroup(cgroupPath)
      leader?.signal(SIGKILL)
    },
    isEmpty: () => !isPopulated(cgroupPath) && leader?.alive !== true && removeCgroup(cgroupPath),
  })
}

/** The first process, wherever it is: only where the pid still names the same one. */
function liveLeader({ process }: Entry): Leader | null {
  if (process === null || process.startTime === null) return null
  const { pid, startTime } = process
  const isSame = () => {
    const stat = processStat(pid)
    return stat?.startTime === startTime && stat.state !== 'Z'
  }
  if (!isSame()) return null
  return {
    pid,
    get alive() {
      return isSame()
    },
    signal(number) {
      const pidfd = openPidfd(pid)
      if (typeof pidfd !== 'number') return pidfd
      // Of whatever process has that pid: looked at once it is held.
      const result = isSame() ? sendSignal(pidfd, number) : 'gone'
      closePidfd(pidfd)
      return result
    },
  }
}

/** The end of a command that ran when its daemon died: nobody saw how it went. */
export function lostEnd(endedAt: string): EndRecord {
  const exit = exitFacts({ cause: 'lost', durationMs: 0 })
  return { endedAt, exit, end: { stdoutBytes: 0, stderrBytes: 0, descendants: 0 } }
}

/** An ended command whose output is a gap. How much a lost one had written is not known. */
export function recovered({ start, process }: Entry, { endedAt, exit, end }: EndRecord): Ended {
  const { id, startedAt, cwd, user, commandLine, detach, onDisconnect } = start
  const cursor = end.stdoutBytes + end.stderrBytes
  return {
    life: {
      id,
      startedAt,
      cwd,
      user,
      pid: process?.pid ?? null,
      // An older guestd has not written all of them.
      exit: { facts: exitFacts(exit), cursor },
      end: { facts: end, cursor },
      closed: true,
    },
    endedAt,
    commandLine,
    request: { detach, onDisconnect },
    proof: start.cgroupPath === null ? 'group' : 'cgroup',
    stdoutBytes: end.stdoutBytes,
    stderrBytes: end.stderrBytes,
    cursor,
    stdin: null,
    isEndKnown: exit.cause !== 'lost' && end.descendants === 0,
    output: null,
  }
}
