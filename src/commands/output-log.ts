/**
 * The ordered log of a command's output: a bounded ring over both streams, with one cursor.
 *
 * Bytes enter once, at the end. Readers pull by cursor, so nothing is buffered for them. Past the ring's bound the
 * oldest bytes are dropped, and a reader that has not read them sees `begin` ahead of its cursor. The bound is on
 * memory: a block counts as a whole as long as the log holds one byte of it.
 */
import type { StreamName } from '../protocol/frames.ts'
import { completePrefixLength } from '../protocol/utf8.ts'
import { type Block, type BlockPool, createBlockPool } from './blocks.ts'
import { createSegments, type Segments } from './segments.ts'

/** Memory that a segment takes beside its bytes: many one-byte writes must not outgrow the bound. */
const SEGMENT_OVERHEAD_BYTES = 128
/** The first block of a log. Each one after it is twice as large, up to the size of the pool's. */
const SMALLEST_BLOCK_BYTES = 1024
/** A read goes into a new block when less than this part of one is free. */
const LEAST_FREE_SHARE = 1 / 4
const notPooled = createBlockPool(64 * 1024, () => 0)

export interface LogSlice {
  readonly stream: StreamName
  readonly bytes: Uint8Array
  /** The cursor after these bytes. */
  readonly cursor: number
  /** The memory of these bytes. A reader that uses them after the log has dropped them counts among its lenders. */
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
  /** Free memory of the log. The caller fills it from its beginning and calls `commit` in the same turn. */
  room(): Uint8Array
  /** The first bytes of `room` enter the log, without a copy. */
  commit(stream: StreamName, length: number): void
  /** At most `maxBytes` bytes of one stream from `cursor` on; `null` at the end. `cursor` is at least `begin`. */
  slice(cursor: number, maxBytes: number): LogSlice | null
  /** Bytes from `cursor` on, and the memory of their segments. */
  lagFrom(cursor: number): number
  /** Memory of all that the log holds from `cursor` on, counted as `heldBytes` is. */
  costFrom(cursor: number): number
  /** Drops the oldest bytes, but no part of a character, until the log holds at most this much memory. */
  shrinkTo(heldBytes: number): void
}

/** All that changes in a log. */
interface LogState {
  readonly ringBytes: number
  readonly needed: () => number
  readonly pool: BlockPool
  readonly segments: Segments
  readonly totals: Record<StreamName, number>
  begin: number
  end: number
  heldBytes: number
  /** Memory that the log has ever taken, in bytes. */
  taken: number
  /** The block that is being filled, from `used` on. */
  block: Block | null
  used: number
}

/**
 * @param ringBytes bound of `heldBytes`
 * @param start cursor at which the log begins: above 0 where older output is known to be lost
 * @param needed memory that is kept in any case, counted as `heldBytes` is
 * @param pool where the memory of the log comes from
 */
export function createOutputLog(
  ringBytes: number,
  start = 0,
  needed = () => 0,
  pool: BlockPool = notPooled,
): OutputLog {
  const log: LogState = {
    ringBytes,
    needed,
    pool,
    segments: createSegments(),
    totals: { stdout: 0, stderr: 0, tty: 0 },
    begin: start,
    end: start,
    heldBytes: 0,
    taken: 0,
    block: null,
    used: 0,
  }
  return {
    get begin() {
      return log.begin
    },
    get end() {
      return log.end
    },
    get heldBytes() {
      return log.heldBytes
    },
    totals: log.totals,
    append: (stream, bytes) => append(log, stream, bytes),
    room: () => room(log),
    commit(stream, length) {
      if (log.block !== null && length > 0) enter(log, stream, log.block, length)
    },
    slice: (cursor, maxBytes) => slice(log, cursor, maxBytes),
    lagFrom: cursor => lagFrom(log, cursor),
    costFrom: cursor => costFrom(log, cursor),
    shrinkTo: bound => shrinkTo(log, bound),
  }
}

function append(log: LogState, stream: StreamName, bytes: Uint8Array): void {
  for (let rest = bytes; rest.length > 0; ) {
    const { block, used } = log
    const length = block?.bytes.length ?? SMALLEST_BLOCK_BYTES / 2
    const into =
      block !== null && used < length && fits(rest, length - used)
        ? block
        : takeBlock(log, Math.min(length * 2, log.pool.blockBytes))
    const part = firstPart(rest, into.bytes.length - log.used)
    into.bytes.set(part, log.used)
    rest = rest.subarray(part.length)
    enter(log, stream, into, part.length)
  }
}

function room(log: LogState): Uint8Array {
  const { block, pool } = log
  const isLarge = block?.bytes.length === pool.blockBytes
  const free = isLarge ? pool.blockBytes - log.used : 0
  const into =
    block !== null && free >= pool.blockBytes * LEAST_FREE_SHARE
      ? block
      : takeBlock(log, pool.blockBytes)
  return into.bytes.subarray(log.used)
}

/** Counts the bytes that were written after `used`. They join the newest segment where they continue it. */
function enter(log: LogState, stream: StreamName, into: Block, length: number): void {
  const { segments, used } = log
  const { newest } = segments
  const joins =
    newest?.stream === stream && newest.block === into && newest.offset + newest.length === used
  if (joins) newest.length += length
  else {
    const { end: cursor, taken: takenBefore } = log
    segments.push({ stream, cursor, block: into, offset: used, length, takenBefore })
    into.segments += 1
    log.heldBytes += SEGMENT_OVERHEAD_BYTES
    log.taken += SEGMENT_OVERHEAD_BYTES
  }
  log.used += length
  log.end += length
  log.totals[stream] += length
  if (log.heldBytes > log.ringBytes) shrinkTo(log, Math.max(log.ringBytes, log.needed()))
}

function takeBlock(log: LogState, bytes: number): Block {
  const { ringBytes } = log
  if (log.block !== null && log.block.segments === 0) dropBlock(log, log.block)
  log.block = null
  if (log.heldBytes + bytes > ringBytes) shrinkTo(log, Math.max(ringBytes - bytes, log.needed()))
  const block = log.pool.take(bytes)
  log.block = block
  log.used = 0
  log.heldBytes += bytes
  log.taken += bytes
  return block
}

function shrinkTo(log: LogState, bound: number): void {
  const { segments } = log
  for (
    let { oldest } = segments;
    oldest !== null && log.heldBytes > bound;
    oldest = segments.oldest
  ) {
    segments.dropOldest()
    log.begin = oldest.cursor + oldest.length
    log.heldBytes -= SEGMENT_OVERHEAD_BYTES
    oldest.block.segments -= 1
    if (oldest.block.segments === 0 && oldest.block !== log.block) dropBlock(log, oldest.block)
  }
  if (log.block === null || log.block.segments > 0 || log.heldBytes <= bound) return
  dropBlock(log, log.block)
  log.block = null
}

function dropBlock(log: LogState, block: Block): void {
  log.heldBytes -= block.bytes.length
  log.pool.drop(block)
}

function slice(log: LogState, cursor: number, maxBytes: number): LogSlice | null {
  const segment = cursor >= log.end ? null : log.segments.holding(cursor)
  if (segment === null) return null
  const { stream, block } = segment
  const skipped = cursor - segment.cursor
  const length = Math.min(segment.length - skipped, maxBytes)
  const from = segment.offset + skipped
  const bytes = block.bytes.subarray(from, from + length)
  return { stream, bytes, cursor: cursor + length, block }
}

function lagFrom({ begin, end, segments }: LogState, cursor: number): number {
  if (cursor >= end) return 0
  const from = Math.max(cursor, begin)
  return end - from + segments.countFrom(from) * SEGMENT_OVERHEAD_BYTES
}

function costFrom({ begin, end, heldBytes, taken, segments }: LogState, cursor: number): number {
  if (cursor <= begin) return heldBytes
  const segment = cursor >= end ? null : segments.holding(cursor)
  return segment === null ? 0 : segment.block.bytes.length + taken - segment.takenBefore
}

/** Whether all the bytes have room, or at least one whole character of them. */
function fits(bytes: Uint8Array, room: number): boolean {
  return bytes.length <= room || completePrefixLength(bytes.subarray(0, room)) > 0
}

/** As many of the first bytes as there is room for, but no part of a character. */
function firstPart(bytes: Uint8Array, room: number): Uint8Array {
  if (bytes.length <= room) return bytes
  const whole = completePrefixLength(bytes.subarray(0, room))
  return bytes.subarray(0, whole > 0 ? whole : room)
}
