/**
 * Processes of a command that are no longer in its cgroup: for `su -` and `systemd-run --scope` the login manager moves
 * them, and root can write any cgroup.procs. The kill of the cgroup does not reach them.
 */
import { newProcessTable, type ProcessTable } from '../sys/process-table.ts'
import type { Leader } from './leader.ts'

export interface Moved {
  /** The pids of those that still run, at most 100. To be called after the kill. */
  left(): readonly number[]
}

const MOST = 100
const NONE: Moved = { left: () => [] }

/**
 * Finds processes outside the cgroup that descend from the first process or from a member of the cgroup, or are in the
 * session of the first process. A process that shares neither a parent nor the session with them is not found. Where
 * /proc cannot be read none is found.
 *
 * @param members the processes in the cgroup
 */
export function findMoved(leader: Leader | null, members: readonly number[]): Moved {
  if (leader === null) return NONE
  const before = newProcessTable()
  if (before === null) return NONE
  const family = descendantsOf(before, leader.alive ? [leader.pid, ...members] : members)
  // Once the first one has exited, its pid may belong to another process and session.
  if (leader.alive || !before.processes.has(leader.pid)) {
    for (const [pid, { session }] of before.processes) if (session === leader.pid) family.add(pid)
  }
  for (const pid of members) family.delete(pid)
  // The first one is killed by its pidfd.
  family.delete(leader.pid)
  if (family.size === 0) return NONE
  const isSame = (now: ProcessTable, pid: number) =>
    now.processes.get(pid)?.startTime === before.processes.get(pid)?.startTime
  return {
    left() {
      const now = newProcessTable()
      if (now === null) return [...family].slice(0, MOST)
      return [...family].filter(pid => now.processes.has(pid) && isSame(now, pid)).slice(0, MOST)
    },
  }
}

/** The roots themselves are among them. */
function descendantsOf(table: ProcessTable, roots: readonly number[]): Set<number> {
  const children = new Map<number, number[]>()
  for (const [pid, { parent }] of table.processes) {
    const known = children.get(parent)
    if (known === undefined) children.set(parent, [pid])
    else known.push(pid)
  }
  const found = new Set<number>()
  const next = [...roots]
  for (let pid = next.pop(); pid !== undefined; pid = next.pop()) {
    if (found.has(pid)) continue
    found.add(pid)
    next.push(...(children.get(pid) ?? []))
  }
  return found
}
