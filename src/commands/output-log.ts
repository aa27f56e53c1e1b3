/**
 * The ordered log of a command's output: a bounded ring over both streams, with one cursor.
 *
 * Bytes enter once, at the end. Readers pull by cursor, so nothing is buffered for them. Past the
 * ring's bound the oldest bytes go, and a reader that still wanted them sees `begin` ahead of it.
 */
import type { Stream } from '../protocol/frames.ts'

/** Memory that a segment costs beside its bytes: many one-byte writes must not outgrow the bound. */
const SEGMENT_OVERHEAD_BYTES = 128
/** Small writes are copied together into blocks, which grow with the log between these sizes. */
const SMALLEST_BLOCK_BYTES = 1024
const LARGEST_BLOCK_BYTES = 64 * 1024
const NO_BYTES = new Uint8Array(0)
/** Bytes of a character of UTF-8 after its first, at most. */
const LONGEST_CHARACTER_REST = 3
/** The deque is compacted once this many dropped segments lead it. */
const COMPACT_AFTER = 1024

export interface LogSlice {
  readonly stream: Stream
  readonly bytes: Uint8Array
  /** The cursor after these bytes. */
  readonly cursor: number
}

export interface OutputLog {
  /** Cursor of the oldest byte held. */
  readonly begin: number
  /** Cursor after the newest byte. */
  readonly end: number
  /** What the log costs now, overhead included, in bytes. */
  readonly heldBytes: number
  /** Bytes that ever entered, for each stream. */
  readonly totals: Readonly<Record<Stream, number>>
  /** Copies the bytes. */
  append(stream: Stream, bytes: Uint8Array): void
  /** Takes the bytes over without copying: the caller must not write to them again. */
  appendOwned(stream: Stream, bytes: Uint8Array): void
  /** At most `maxBytes` bytes of one stream from `cursor` on; `null` at the end. `cursor` >= begin. */
  slice(cursor: number, maxBytes: number): LogSlice | null
  /** What the log costs from `cursor` on, overhead included, in bytes. */
  costFrom(cursor: number): number
  /** Drops the oldest bytes, but no part of a character, until the log costs at most this. */
  shrinkTo(heldBytes: number): void
}

interface Segment {
  readonly stream: Stream
  /** Cursor of the first byte. */
  cursor: number
  block: Uint8Array
  offset: number
  length: number
}

/**
 * @param ringBytes bound of `heldBytes`
 * @param start cursor at which the log begins: above 0 where older output is known to be lost
 * @param needed what is kept in any case, in terms of `heldBytes`
 */
export function createOutputLog(ringBytes: number, start = 0, needed = () => 0): OutputLog {
  let segments: Segment[] = []
  let head = 0
  let begin = start
  let end = start
  let heldBytes = 0
  let block: Uint8Array = new Uint8Array(0)
  let blockUsed = 0
  const totals: Record<Stream, number> = { stdout: 0, stderr: 0, tty: 0 }

  const push = (stream: Stream, into: Uint8Array, offset: number, length: number) => {
    segments.push({ stream, cursor: end, block: into, offset, length })
    heldBytes += SEGMENT_OVERHEAD_BYTES
  }

  const count = (stream: Stream, length: number) => {
    end += length
    heldBytes += length
    totals[stream] += length
    if (heldBytes > ringBytes) shrinkTo(Math.max(ringBytes, needed()))
  }

  const dropOldest = () => {
    const oldest = segments[head]
    if (oldest === undefined) return
    head += 1
    begin = oldest.cursor + oldest.length
    heldBytes -= oldest.length + SEGMENT_OVERHEAD_BYTES
    // The deque keeps it for a while, but not its memory.
    oldest.block = NO_BYTES
    if (head < COMPACT_AFTER || head * 2 < segments.length) return
    segments = segments.slice(head)
    head = 0
  }

  /** Only whole characters go: what is left begins with one. */
  const trimOldest = (segment: Segment, excess: number) => {
    let bytes = excess
    const most = Math.min(excess + LONGEST_CHARACTER_REST, segment.length)
    while (bytes < most && isContinuation(segment.block[segment.offset + bytes])) bytes += 1
    if (bytes >= segment.length) return dropOldest()
    segment.cursor += bytes
    segment.offset += bytes
    segment.length -= bytes
    begin = segment.cursor
    heldBytes -= bytes
  }

  const shrinkTo = (bound: number) => {
    for (let oldest = segments[head]; oldest && heldBytes > bound; oldest = segments[head]) {
      const excess = heldBytes - bound
      if (excess >= oldest.length) dropOldest()
      else trimOldest(oldest, excess)
    }
  }

  const newBlock = (atLeast: number) => {
    const grown = Math.min(LARGEST_BLOCK_BYTES, Math.max(SMALLEST_BLOCK_BYTES, block.length * 2))
    block = Buffer.allocUnsafeSlow(Math.max(grown, atLeast))
    blockUsed = 0
  }

  /** Joins the newest segment when it ends where the block's free part begins. */
  const copy = (stream: Stream, bytes: Uint8Array) => {
    const newest = segments.at(-1)
    if (blockUsed + bytes.length > block.length) newBlock(bytes.length)
    block.set(bytes, blockUsed)
    const joins =
      newest !== undefined &&
      segments.length > head &&
      newest.stream === stream &&
      newest.block === block &&
      newest.offset + newest.length === blockUsed
    if (joins) newest.length += bytes.length
    else push(stream, block, blockUsed, bytes.length)
    blockUsed += bytes.length
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
      if (bytes.length === 0) return
      copy(stream, bytes)
      count(stream, bytes.length)
    },
    appendOwned(stream, bytes) {
      push(stream, bytes, 0, bytes.length)
      count(stream, bytes.length)
    },
    slice(cursor, maxBytes) {
      if (cursor >= end) return null
      const segment = segments[find(cursor)]
      if (segment === undefined) return null
      const skipped = cursor - segment.cursor
      const length = Math.min(segment.length - skipped, maxBytes)
      const from = segment.offset + skipped
      return {
        stream: segment.stream,
        bytes: segment.block.subarray(from, from + length),
        cursor: cursor + length,
      }
    },
    costFrom(cursor) {
      if (cursor <= begin) return heldBytes
      if (cursor >= end) return 0
      return end - cursor + (segments.length - find(cursor)) * SEGMENT_OVERHEAD_BYTES
    },
    shrinkTo,
  }
}

function isContinuation(byte = 0): boolean {
  return (byte & 0xc0) === 0x80
}
