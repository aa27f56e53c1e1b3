/**
 * The ordered log of a command's output: a bounded ring over both streams, with one cursor.
 *
 * Bytes enter once, at the end. Readers pull by cursor, so nothing is buffered for them. Past the
 * ring's bound the oldest bytes go, and a reader that still wanted them sees `begin` ahead of it. What counts is
 * the memory that is held: a block counts as a whole as long as one byte of it does.
 */
import type { StreamName } from '../protocol/frames.ts'
import { completePrefixLength } from '../protocol/utf8.ts'
import { type Block, type BlockPool, createBlockPool } from './blocks.ts'

/** Memory that a segment costs beside its bytes: many one-byte writes must not outgrow the bound. */
const SEGMENT_OVERHEAD_BYTES = 128
/** The first block of a log. Each one after it is twice as large, up to the size of the pool's. */
const SMALLEST_BLOCK_BYTES = 1024
/** A read goes into a new block when less than this part of one is free. */
const LEAST_FREE_SHARE = 1 / 4
/** The deque is compacted once this many dropped segments lead it. */
const COMPACT_AFTER = 1024
const notPooled = createBlockPool(64 * 1024, () => 0)

export interface LogSlice {
  readonly stream: StreamName
  readonly bytes: Uint8Array
  /** The cursor after these bytes. */
  readonly cursor: number
  /** Where they are: who uses them after the log has dropped them counts among its lenders. */
  readonly block: Block
}

export interface OutputLog {
  /** Cursor of the oldest byte held. */
  readonly begin: number
  /** Cursor after the newest byte. */
  readonly end: number
  /** Memory that the log holds now, in bytes. */
  readonly heldBytes: number
  /** Bytes that ever entered, for each stream. */
  readonly totals: Readonly<Record<StreamName, number>>
  /** Copies the bytes. */
  append(stream: StreamName, bytes: Uint8Array): void
  /** Free memory of the log, to be filled from its beginning on and given to `commit` in the same step. */
  room(): Uint8Array
  /** The first bytes of `room` enter the log, without a copy. */
  commit(stream: StreamName, length: number): void
  /** At most `maxBytes` bytes of one stream from `cursor` on; `null` at the end. `cursor` >= begin. */
  slice(cursor: number, maxBytes: number): LogSlice | null
  /** Bytes from `cursor` on, with what their segments cost. */
  lagFrom(cursor: number): number
  /** Memory that what the log holds from `cursor` on takes, in terms of `heldBytes`. */
  costFrom(cursor: number): number
  /** Drops the oldest bytes, but no part of a character, until the log holds at most this much memory. */
  shrinkTo(heldBytes: number): void
}

interface Segment {
  readonly stream: StreamName
  /** Cursor of the first byte. */
  readonly cursor: number
  readonly block: Block
  readonly offset: number
  length: number
  /** Memory that the log had ever taken before this segment. */
  readonly takenBefore: number
}

/**
 * @param ringBytes bound of `heldBytes`
 * @param start cursor at which the log begins: above 0 where older output is known to be lost
 * @param needed what is kept in any case, in terms of `heldBytes`
 * @param pool where its memory comes from
 */
export function createOutputLog(
  ringBytes: number,
  start = 0,
  needed = () => 0,
  pool: BlockPool = notPooled,
): OutputLog {
  /** `null`: dropped, and its memory let go; the deque keeps its place for a while. */
  let segments: (Segment | null)[] = []
  let head = 0
  let begin = start
  let end = start
  let heldBytes = 0
  let taken = 0
  /** The block that is filled, from `used` on. */
  let block: Block | null = null
  let used = 0
  const totals: Record<StreamName, number> = { stdout: 0, stderr: 0, tty: 0 }

  const drop = (dropped: Block) => {
    heldBytes -= dropped.bytes.length
    pool.drop(dropped)
  }

  const takeBlock = (bytes: number): Block => {
    if (block !== null && block.segments === 0) drop(block)
    block = null
    if (heldBytes + bytes > ringBytes) shrinkTo(Math.max(ringBytes - bytes, needed()))
    block = pool.take(bytes)
    used = 0
    heldBytes += bytes
    taken += bytes
    return block
  }

  /** The bytes after `used` have been written. Joins the newest segment when it ends there. */
  const enter = (stream: StreamName, into: Block, length: number) => {
    const newest = segments.length > head ? segments.at(-1) : null
    const joins =
      newest?.stream === stream && newest.block === into && newest.offset + newest.length === used
    if (joins) newest.length += length
    else {
      segments.push({ stream, cursor: end, block: into, offset: used, length, takenBefore: taken })
      into.segments += 1
      heldBytes += SEGMENT_OVERHEAD_BYTES
      taken += SEGMENT_OVERHEAD_BYTES
    }
    used += length
    end += length
    totals[stream] += length
    if (heldBytes > ringBytes) shrinkTo(Math.max(ringBytes, needed()))
  }

  const dropOldest = (oldest: Segment) => {
    segments[head] = null
    head += 1
    begin = oldest.cursor + oldest.length
    heldBytes -= SEGMENT_OVERHEAD_BYTES
    oldest.block.segments -= 1
    if (oldest.block.segments === 0 && oldest.block !== block) drop(oldest.block)
    if (head < COMPACT_AFTER || head * 2 < segments.length) return
    segments = segments.slice(head)
    head = 0
  }

  const shrinkTo = (bound: number) => {
    for (let oldest = segments[head]; oldest && heldBytes > bound; oldest = segments[head])
      dropOldest(oldest)
    if (block === null || block.segments > 0 || heldBytes <= bound) return
    drop(block)
    block = null
  }

  /** Binary search: the index of the segment that holds the byte at `cursor`. */
  const find = (cursor: number): number => {
    let low = head
    let high = segments.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((segments[middle]?.cursor ?? 0) <= cursor) low = middle
      else high = middle - 1
    }
    return low
  }

  return {
    get begin() {
      return begin
    },
    get end() {
      return end
    },
    get heldBytes() {
      return heldBytes
    },
    totals,
    append(stream, bytes) {
      for (let rest = bytes; rest.length > 0; ) {
        const length = block?.bytes.length ?? SMALLEST_BLOCK_BYTES / 2
        const into =
          block !== null && used < length && fits(rest, length - used)
            ? block
            : takeBlock(Math.min(length * 2, pool.blockBytes))
        const part = firstPart(rest, into.bytes.length - used)
        into.bytes.set(part, used)
        rest = rest.subarray(part.length)
        enter(stream, into, part.length)
      }
    },
    room() {
      const isLarge = block?.bytes.length === pool.blockBytes
      const free = isLarge ? pool.blockBytes - used : 0
      const into =
        block !== null && free >= pool.blockBytes * LEAST_FREE_SHARE
          ? block
          : takeBlock(pool.blockBytes)
      return into.bytes.subarray(used)
    },
    commit(stream, length) {
      if (block !== null && length > 0) enter(stream, block, length)
    },
    slice(cursor, maxBytes) {
      if (cursor >= end) return null
      const segment = segments[find(cursor)]
      if (!segment) return null
      const skipped = cursor - segment.cursor
      const length = Math.min(segment.length - skipped, maxBytes)
      const from = segment.offset + skipped
      return {
        stream: segment.stream,
        bytes: segment.block.bytes.subarray(from, from + length),
        cursor: cursor + length,
        block: segment.block,
      }
    },
    lagFrom(cursor) {
      if (cursor >= end) return 0
      const from = Math.max(cursor, begin)
      return end - from + (segments.length - find(from)) * SEGMENT_OVERHEAD_BYTES
    },
    costFrom(cursor) {
      if (cursor <= begin) return heldBytes
      const segment = cursor >= end ? null : segments[find(cursor)]
      return segment ? segment.block.bytes.length + taken - segment.takenBefore : 0
    },
    shrinkTo,
  }
}

/** Whether at least one whole character of the bytes has room, or the bytes themselves. */
function fits(bytes: Uint8Array, room: number): boolean {
  return bytes.length <= room || completePrefixLength(bytes.subarray(0, room)) > 0
}

/** As many of the first bytes as there is room for, but no part of a character. */
function firstPart(bytes: Uint8Array, room: number): Uint8Array {
  if (bytes.length <= room) return bytes
  const whole = completePrefixLength(bytes.subarray(0, room))
  return bytes.subarray(0, whole > 0 ? whole : room)
}
