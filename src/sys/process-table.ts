/** The live processes of this machine. Many commands share one table, which is read at a limited rate. */
import { native } from './native.ts'

export interface ProcessTable {
  /** A `performance.now()` time, before the first process was read. */
  readonly takenAt: number
  /** By pid. */
  readonly processes: ReadonlyMap<number, ProcessRow>
  /** The process group of each process whose group or session is `id`. */
  groupsOf(id: number): readonly number[]
}

export interface ProcessRow {
  readonly parent: number
  readonly group: number
  readonly session: number
  /** In clock ticks after boot. With the pid it identifies the process. */
  readonly startTime: number
}

/** A table up to this age, in milliseconds, is current. */
const NEW_MS = 5
/** A table is used for at least this time, in milliseconds, and for KEPT_TIMES the time that it took to read. */
const KEPT_MS = 20
const KEPT_TIMES = 10
/** The tables are dropped when they are not used for this time, in milliseconds. */
const UNUSED_MS = 2_000
const COLUMNS = native.constants.processColumns

let latest: ProcessTable | null = null
let previous: ProcessTable | null = null
let keptMs = KEPT_MS
let unused: NodeJS.Timeout | undefined

/**
 * A table that may be some milliseconds old, and older with thousands of processes: reading takes at most a tenth of
 * guestd's time. `null` when it cannot be read, as without a free descriptor.
 *
 * @param after a `performance.now()` time: the table is newer
 */
export function processTable(after = Number.NEGATIVE_INFINITY): ProcessTable | null {
  const isUsable =
    latest !== null && latest.takenAt > after && latest.takenAt > performance.now() - keptMs
  return isUsable ? latest : take()
}

/** A current table; `null` when it cannot be read. */
export function newProcessTable(): ProcessTable | null {
  return latest !== null && latest.takenAt > performance.now() - NEW_MS ? latest : take()
}

/**
 * Whether two tables, both newer than `after`, contain no process of this group or session. One table is not enough: it
 * can miss a process that forks and exits during the read, and its child.
 */
export function isGroupGone(id: number, after: number): boolean {
  const isAbsent = (table: ProcessTable | null) => table?.groupsOf(id).length === 0
  if (!isAbsent(processTable(after))) return false
  if (previous !== null && previous.takenAt > after) return isAbsent(previous)
  return isAbsent(take())
}

function take(): ProcessTable | null {
  const takenAt = performance.now()
  try {
    const table = read(native.processTable(), takenAt)
    previous = latest
    latest = table
    clearTimeout(unused)
    unused = setTimeout(forget, UNUSED_MS + keptMs).unref()
    keptMs = Math.max(KEPT_MS, (performance.now() - takenAt) * KEPT_TIMES)
    return table
  } catch {
    return null
  }
}

function forget(): void {
  latest = null
  previous = null
}

function read(cells: Float64Array, takenAt: number): ProcessTable {
  const processes = new Map<number, ProcessRow>()
  const groups = new Map<number, number[]>()
  const add = (id: number, group: number) => {
    const known = groups.get(id)
    if (known === undefined) groups.set(id, [group])
    else known.push(group)
  }
  const cell = (index: number) => cells[index] ?? 0
  for (let from = 0; from < cells.length; from += COLUMNS) {
    const [pid, parent, group] = [cell(from), cell(from + 1), cell(from + 2)]
    const [session, startTime] = [cell(from + 3), cell(from + 4)]
    processes.set(pid, { parent, group, session, startTime })
    add(session, group)
    if (group !== session) add(group, group)
  }
  return { takenAt, processes, groupsOf: id => groups.get(id) ?? [] }
}
