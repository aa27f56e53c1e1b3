/** The live processes of this machine, read at most so often that many commands cost no more than one. */
import { native } from './native.ts'

export interface ProcessTable {
  /** Of `performance.now()`, before the first process was read. */
  readonly takenAt: number
  /** Live processes; of a pid that is not there nothing is known. */
  readonly processes: ReadonlyMap<number, ProcessRow>
  /** The process groups of those whose group or session is `id`, one entry for each process. */
  groupsOf(id: number): readonly number[]
}

export interface ProcessRow {
  readonly parent: number
  readonly group: number
  readonly session: number
  /** Clock ticks after boot: with the pid it names one process. */
  readonly startTime: number
}

/** A table of this age, in milliseconds, counts as of now. */
const NEW_MS = 5
/** A table stays in use for so long, and for at least so many times what it took to read. */
const KEPT_MS = 20
const KEPT_TIMES = 10
/** Then the memory of the tables is given back. */
const UNUSED_MS = 2_000
const COLUMNS = native.constants.processColumns

let latest: ProcessTable | null = null
let previous: ProcessTable | null = null
let keptMs = KEPT_MS
let unused: NodeJS.Timeout | undefined

/**
 * A table that may be some milliseconds old, or more where there are thousands of processes: to read them takes at
 * most a tenth of guestd's time. `null` where it cannot be read, as without a free descriptor: nothing is known then.
 *
 * @param after of `performance.now()`: it was taken later
 */
export function processTable(after = Number.NEGATIVE_INFINITY): ProcessTable | null {
  const isUsable =
    latest !== null && latest.takenAt > after && latest.takenAt > performance.now() - keptMs
  return isUsable ? latest : take()
}

/** A table as of now. */
export function newProcessTable(): ProcessTable | null {
  return latest !== null && latest.takenAt > performance.now() - NEW_MS ? latest : take()
}

/**
 * Whether no process had this group or session in two tables, both taken later than `after`: a process that forks and exits
 * while the first is read can be missed in it, and its child too.
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
