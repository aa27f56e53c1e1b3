/** Commands of the daemon before this one: what the journal tells of them, without their output. */

import { isPopulated, killCgroup, removeCgroup } from '../sys/cgroup.ts'
import { processStat } from '../sys/process-group.ts'
import { inGroup } from './containment.ts'
import type { Ended } from './ended.ts'
import { exitFacts } from './exit-facts.ts'
import type { EndRecord, Entry } from './journal.ts'
import type { Leader } from './leader.ts'
import { killUntilEmpty } from './terminate.ts'

/** Kills whatever of it still lives, and resolves once nobody is left. */
export function killRemains(entry: Entry): Promise<void> {
  const { cgroupPath } = entry.start
  if (cgroupPath === null) {
    const containment = inGroup()
    const leader = liveLeader(entry)
    if (leader !== null) containment.adopt(leader)
    return killUntilEmpty(containment)
  }
  return killUntilEmpty({
    kill: () => void killCgroup(cgroupPath),
    isEmpty: () => !isPopulated(cgroupPath) && removeCgroup(cgroupPath),
  })
}

/** Only where the pid still names the same process is the group that of the command. */
function liveLeader(entry: Entry): Leader | null {
  if (entry.process === null || entry.process.startTime === null) return null
  const stat = processStat(entry.process.pid)
  if (stat?.startTime !== entry.process.startTime) return null
  // Its group is what is signalled and looked at: it is no child of this guestd.
  return { pid: entry.process.pid, alive: false, signal: () => 'gone' }
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
      exit: { facts: exit, cursor },
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
    output: null,
  }
}
