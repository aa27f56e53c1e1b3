/** Commands of the daemon before this one: what still runs is killed, and what the journal knows can be read again. */

import { type CgroupTree, isPopulated, killCgroup, removeCgroup } from '../sys/cgroup.ts'
import { closePidfd, openPidfd, sendSignal } from '../sys/launch.ts'
import { processStat } from '../sys/process-group.ts'
import { atMost } from '../util/at-most.ts'
import type { CommandTable } from './command-table.ts'
import { inGroup } from './containment.ts'
import type { Ended } from './ended-command.ts'
import { exitFacts } from './exit-facts.ts'
import type { EndRecord, Entry, Journal } from './journal.ts'
import type { Leader } from './leader.ts'
import { killStrays, NO_STRAYS, type Strays } from './strays.ts'
import { killUntilEmpty } from './terminate.ts'

const SIGKILL = 9
/** A process that cannot be killed, as in uninterruptible sleep, must not keep guestd from serving. */
const RECOVER_LIMIT_MS = 10_000

/** @returns the processes that were killed though the journal does not name their command */
export async function recoverCommands(
  journal: Journal,
  cgroups: CgroupTree | null,
  table: CommandTable,
): Promise<Strays> {
  const entries = [...journal.foreign, ...journal.recovered]
  const known = new Set(entries.map(({ start }) => start.cgroupPath))
  let strays = NO_STRAYS
  const killUnknown = async () => {
    if (cgroups !== null) strays = await killStrays(cgroups, known)
  }
  await atMost(RECOVER_LIMIT_MS, Promise.all([...entries.map(killProcesses), killUnknown()]))
  for (const entry of journal.recovered) {
    const end = entry.end ?? lostEnd(new Date().toISOString())
    if (entry.end === null) journal.ended(entry.start.id, end)
    table.addEnded(recovered(entry, end), entry.start.digest)
  }
  return strays
}

/** Kills the processes that are left, and resolves once there are none. */
function killProcesses(entry: Entry): Promise<void> {
  const { cgroupPath } = entry.start
  const leader = liveLeader(entry)
  if (cgroupPath === null) {
    const containment = inGroup()
    // This guestd does not learn of its exit: whether its group is empty decides.
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

/** The first process, whatever cgroup it is in; `null` where the pid does not name the same process any more. */
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
      // The pid may have been reused before the pidfd was opened: only now it cannot be.
      const result = isSame() ? sendSignal(pidfd, number) : 'gone'
      closePidfd(pidfd)
      return result
    },
  }
}

/** The end of a command that ran when its daemon died: how it ended is not known. */
function lostEnd(endedAt: string): EndRecord {
  const exit = exitFacts({ cause: 'lost', durationMs: 0 })
  return { endedAt, exit, end: { stdoutBytes: 0, stderrBytes: 0, descendants: 0 } }
}

/**
 * An ended command without its output. The output is a gap; for a `lost` command its length is unknown, so there is no
 * gap.
 */
function recovered({ start, process }: Entry, { endedAt, exit, end }: EndRecord): Ended {
  const { id, startedAt, cwd, user, commandLine, detach, onDisconnect } = start
  const cursor = end.stdoutBytes + end.stderrBytes
  return {
    life: {
      id,
      startedAt,
      cwd,
      user,
      pid: process?.pid ?? null,
      // An older guestd has not written every field.
      exit: { facts: exitFacts(exit), at: endedAt, cursor },
      end: { facts: end, cursor },
      closed: true,
    },
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
