/** A reader of a command's log: pulls frames, borrows their memory, and reports its progress to the command. */
import { GuestdError } from '../errors.ts'
import type { Block, BlockPool } from './blocks.ts'
import { createFrameSource } from './frame-source.ts'
import type { Life } from './life.ts'
import type { OutputLog } from './output-log.ts'
import type { AttachOptions, FrameReader } from './types.ts'

/** More than a socket holds. A caller that does not release its bytes must not make the reader keep them all. */
const MOST_BORROWED = 8

/** The reader as its command sees it. */
export interface LogReader extends FrameReader {
  /** There may be more to read. */
  wake(): void
}

export interface ReaderEvents {
  /** The cursor has moved. */
  readonly advanced: () => void
  /** All is read: `done`. */
  readonly finished: () => void
  /** Closed before the end. */
  readonly cut: () => void
  /** Closed, before the end or after it. */
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
  let isClosed = false
  /** Blocks with bytes that the caller may still use, oldest first. */
  let borrowed: Block[] = []

  const borrow = (block: Block) => {
    if (borrowed.at(-1) === block) return
    block.lenders += 1
    borrowed.push(block)
    // That block is never given back: the memory is freed once the caller drops its bytes, and is not used again.
    if (borrowed.length > MOST_BORROWED) borrowed.shift()
  }

  const source = createFrameSource(log, life, options, borrow)

  return {
    onReadable: null,
    get done() {
      return source.done
    },
    get cursor() {
      return source.cursor
    },
    read(maxBytes) {
      if (isClosed || source.done) return null
      const before = source.cursor
      const frame = source.next(maxBytes)
      if (source.done) events.finished()
      if (source.cursor !== before) events.advanced()
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
      if (isClosed) return
      isClosed = true
      this.onReadable = null
      if (!source.done) events.cut()
      events.closed()
    },
  }
}
