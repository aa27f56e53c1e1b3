/** A reader of a command's log: pulls frames in order, from a cursor to the command's end. */
import { GuestdError } from '../errors.ts'
import type { Frame } from '../protocol/frames.ts'
import { completePrefixLength } from '../protocol/utf8.ts'
import type { Block, BlockPool } from './blocks.ts'
import type { Life } from './life.ts'
import type { OutputLog } from './output-log.ts'
import type { AttachOptions, FrameReader } from './types.ts'

/** More than a socket holds. A caller that does not release its bytes must not make the reader keep them all. */
const MOST_BORROWED = 8

/** The reader as its command sees it. */
export interface LogReader extends FrameReader {
  /** Tells that there may be more to read. */
  wake(): void
}

export interface ReaderEvents {
  /** The place in the log has moved. */
  readonly advanced: () => void
  /** All is read: `done`. */
  readonly finished: () => void
  /** Given up before the end. */
  readonly cut: () => void
  /** Given up, before the end or after. */
  readonly closed: () => void
}

/**
 * @param pool where the log's memory comes from; `null` for a log that holds nothing
 * @throws GuestdError `cursor_out_of_range`
 */
export function createReader(
  log: OutputLog,
  life: Life,
  options: AttachOptions,
  pool: BlockPool | null,
  events: ReaderEvents,
): LogReader {
  if (options.cursor > log.end) {
    const detail = `the cursor ${options.cursor} is past the end of the output, ${log.end}`
    throw new GuestdError('cursor_out_of_range', detail, { field: 'cursor' })
  }
  const presentEnd = log.end
  // The starter's role ends at `end`, also for who took it over late: only others follow descendants.
  const followsLateOutput = life.end !== null && !options.hold
  let cursor = options.cursor
  let truncated = 0
  let started = false
  let exitSent = hasSeenExit(options, life)
  let done = false
  let closed = false
  /** Blocks with bytes that the caller may still use, oldest first. */
  let borrowed: Block[] = []

  const borrow = (block: Block) => {
    if (borrowed.at(-1) === block) return
    block.lenders += 1
    borrowed.push(block)
    // Never given back: it is not used again, and goes once the caller lets go of its bytes.
    if (borrowed.length > MOST_BORROWED) borrowed.shift()
  }

  /** Where this reader's output ends: Infinity while that is not known. */
  const lastCursor = () => {
    if (!options.follow) return presentEnd
    if (!followsLateOutput) return life.end?.cursor ?? Number.POSITIVE_INFINITY
    return life.closed ? log.end : Number.POSITIVE_INFINITY
  }

  const start = (): Frame => {
    started = true
    const { id, pid, startedAt, cwd, user } = life
    return { type: 'start', id, pid, startedAt, cwd, user, cursor }
  }

  const gap = (): Frame => {
    const from = cursor
    cursor = Math.min(log.begin, lastCursor())
    truncated += cursor - from
    return { type: 'gap', from, to: cursor, cursor }
  }

  /** `exit` has its place in the log: what entered before comes before. */
  const exitIsDue = () => !exitSent && life.exit !== null && cursor >= life.exit.cursor

  const exit = (): Frame | null => {
    exitSent = true
    return life.exit && { type: 'exit', ...life.exit.facts, cursor }
  }

  const output = (maxBytes: number): Frame | null => {
    const barrier = exitSent ? undefined : life.exit?.cursor
    const limit = Math.min(log.end, lastCursor(), barrier ?? Number.POSITIVE_INFINITY)
    const wanted = Math.min(maxBytes, limit - cursor)
    const slice = wanted > 0 ? log.slice(cursor, wanted) : null
    if (slice === null) return null
    // A full slice may have been cut inside a character: its rest goes with the next one.
    const whole = slice.bytes.length === maxBytes ? completePrefixLength(slice.bytes) : 0
    const bytes = whole > 0 ? slice.bytes.subarray(0, whole) : slice.bytes
    borrow(slice.block)
    cursor += bytes.length
    return { type: 'output', stream: slice.stream, cursor, bytes }
  }

  const end = (): Frame | null => {
    if (cursor < lastCursor()) return null
    done = true
    events.finished()
    if (life.end === null || !exitSent) return null
    return { type: 'end', ...life.end.facts, truncated, cursor }
  }

  const next = (maxBytes: number): Frame | null => {
    if (done || closed) return null
    if (!started) return start()
    if (cursor < log.begin && cursor < lastCursor()) return gap()
    if (exitIsDue()) return exit()
    return output(maxBytes) ?? end()
  }

  return {
    onReadable: null,
    get done() {
      return done
    },
    get cursor() {
      return cursor
    },
    read(maxBytes) {
      const before = cursor
      const frame = next(maxBytes)
      if (cursor !== before) events.advanced()
      return frame
    },
    release() {
      for (const block of borrowed) pool?.giveBack(block)
      borrowed = []
    },
    wake() {
      this.onReadable?.()
    },
    close() {
      if (closed) return
      closed = true
      this.onReadable = null
      if (!done) events.cut()
      events.closed()
    },
  }
}

/** Output past the place of `exit` in the log comes after it in every stream. */
function hasSeenExit({ seen, cursor }: AttachOptions, { exit }: Life): boolean {
  if (exit === null || seen === undefined) return false
  return seen !== 'output' || cursor > exit.cursor
}
