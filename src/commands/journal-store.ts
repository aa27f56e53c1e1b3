/**
 * Writes the journal, also where space is short: lines that no longer count are dropped, and then the reserved space
 * is freed.
 */
import { GuestdError } from '../errors.ts'
import { messageOf } from '../util/message-of.ts'
import type { JournalAppender } from './journal-appender.ts'
import { applyLine, type Entry, type Header, type Line, linesOf } from './journal-lines.ts'
import type { Spare } from './journal-spare.ts'

/** The file is rewritten when it holds this many lines more than it has to. */
const SPARE_LINES = 5_000
/** Lines of a command that has ended. */
const LINES_OF_COMMAND = 3
/** Shortest time between two attempts to make space, in milliseconds: each writes all of the journal. */
const RELIEF_MS = 1_000

export interface JournalStore {
  /** The file has all that `entries` has. */
  readonly isComplete: boolean
  /** Writes a line before something begins. @throws GuestdError `state_unavailable`, `invalid_request` */
  begin(line: Line): void
  /** Writes a line about what has happened. Where that fails the store is incomplete until `relieve` succeeds. */
  record(line: Line): void
  /** Rewrites the file. @throws Error where that fails */
  save(): void
  /** Rewrites the file, with the spare space if it has to. False where that fails or was tried a moment ago. */
  relieve(): boolean
}

export interface JournalStoreOptions {
  readonly header: Header
  readonly entries: Map<string, Entry>
  readonly file: JournalAppender
  readonly spare: Spare
  /** See `JournalOptions`. */
  readonly failed: (error: unknown) => void
}

export function createStore(options: JournalStoreOptions): JournalStore {
  const { header, entries, file, spare, failed } = options
  let isComplete = false
  let relievedAt = Number.NEGATIVE_INFINITY

  const save = () => {
    file.replace([header, ...[...entries.values()].flatMap(linesOf)])
    isComplete = true
  }

  const relieve = (): boolean => {
    if (performance.now() - relievedAt < RELIEF_MS) return false
    relievedAt = performance.now()
    if (attempt(save) !== null) {
      if (!spare.drop()) return false
      // Where this fails too, the space that is free now takes some lines.
      if (attempt(save) !== null) return file.isOpen
    }
    spare.make()
    return true
  }

  /** @returns what went wrong; `null` on success */
  const append = (line: Line) => attempt(() => file.append(line))

  /** A rewrite has all that `entries` has, this line too. */
  const appendMissing = (line: Line) => (isComplete ? null : append(line))

  return {
    get isComplete() {
      return isComplete && file.isOpen
    },
    begin(line) {
      checkSpare(spare)
      const failure = append(line)
      if (failure?.error instanceof GuestdError) throw failure.error
      if (failure !== null) {
        if (!relieve()) throw noSpace(failure.error)
        checkSpare(spare)
        const again = append(line)
        if (again !== null) throw noSpace(again.error)
      }
      applyLine(entries, line)
    },
    record(line) {
      applyLine(entries, line)
      const wasComplete = isComplete && file.isOpen
      const failure = append(line)
      if (failure === null) {
        const most = entries.size * LINES_OF_COMMAND + SPARE_LINES
        if (!wasComplete || file.lines > most) relieve()
        return
      }
      isComplete = false
      const again = relieve() ? appendMissing(line) : failure
      if (again === null) isComplete ||= wasComplete
      else if (wasComplete) failed(again.error)
    },
    save,
    relieve,
  }
}

/** The last of the space is for the ends of the commands that run. */
function checkSpare(spare: Spare): void {
  if (!spare.isWhole) spare.make()
  if (!spare.isWhole) throw noSpace(new Error('there is less than 1 MiB of space left'))
}

function noSpace(error: unknown): GuestdError {
  return new GuestdError('state_unavailable', `runDir: ${messageOf(error)}`)
}

function attempt(action: () => void): { readonly error: unknown } | null {
  try {
    action()
    return null
  } catch (error) {
    return { error }
  }
}
