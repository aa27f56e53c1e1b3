/** A disk as a power cut leaves it, from the log of its writes. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import type { Point } from './points.ts'
import { createRandom } from './random.ts'
import type { Recording } from './recording.ts'
import { type LogEntry, readExactly } from './write-log.ts'

export interface Rebuilder {
  /** Makes the file the disk of a point, and returns the pieces since the flush that are on it. */
  build(point: Point, file: string): readonly Piece[]
  close(): void
}

/** A part of a write that reaches the disk as a whole or not at all. */
export interface Piece {
  readonly entry: LogEntry
  /** On the disk, in bytes. */
  readonly offset: number
  readonly bytes: number
}

/** What a disk writes as a whole: sectors of today's disks, blocks of ext4, pages of memory. */
const ATOMIC_BYTES = 4096
/** Of a discard. A disk may take any part of it; smaller ones than this are more work, and no other case. */
const DISCARD_BYTES = 64 * 1024
/** Read and written at a time. */
const CHUNK_BYTES = 1024 * 1024

/**
 * Rolls a copy of the disk forward from flush to flush, so points that are asked for in the order of
 * their flushes cost little; an earlier one begins anew. What a discard covers becomes zeros, so that a discard of
 * what is still used is a loss.
 *
 * @param rolling the copy, made and removed here
 */
export function createRebuilder(recording: Recording, rolling: string): Rebuilder {
  let fd: number | null = null
  let done = 0
  const begin = () => {
    if (fd !== null) closeSync(fd)
    copySparse(recording.before, rolling)
    done = 0
    return openSync(rolling, 'r+')
  }
  return {
    build(point, file) {
      if (fd === null || point.durable < done) fd = begin()
      for (const entry of between(recording, done, point.durable))
        apply(recording, wholeOf(entry), fd)
      done = point.durable
      copySparse(rolling, file)
      const pieces = keptPieces(recording, point)
      const target = openSync(file, 'r+')
      try {
        for (const piece of pieces) apply(recording, piece, target)
      } finally {
        closeSync(target)
      }
      return pieces
    },
    close() {
      if (fd !== null) closeSync(fd)
      fd = null
      rmSync(rolling, { force: true })
    },
  }
}

/** What of the writes between flush and cut is on the disk, in the order of the log. */
export function keptPieces({ entries }: Pick<Recording, 'entries'>, point: Point): Piece[] {
  const { keeps, durable, cut } = point
  const random = typeof keeps === 'string' ? null : createRandom(keeps.seed)
  const likelihood = typeof keeps === 'string' ? Number(keeps === 'all') : keeps.likelihood
  const kept: Piece[] = []
  for (const entry of between({ entries }, durable, cut)) {
    if (entry.dataAt === null && !entry.discard) continue
    for (const piece of piecesOf(entry)) {
      const isKept = random === null ? likelihood === 1 : random.next() < likelihood
      if (isKept || entry.fua) kept.push(piece)
    }
  }
  return kept
}

/** Positions in the log are those of its entries: marks that were passed over leave gaps. */
function* between(
  { entries }: Pick<Recording, 'entries'>,
  from: number,
  to: number,
): Generator<LogEntry> {
  let low = 0
  for (let high = entries.length; low < high; ) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.index ?? 0) < from) low = middle + 1
    else high = middle
  }
  for (let at = low; at < entries.length; at++) {
    const entry = entries[at]
    if (entry === undefined || entry.index >= to) return
    yield entry
  }
}

function* piecesOf(entry: LogEntry): Generator<Piece> {
  const end = entry.offset + entry.bytes
  const size = entry.discard ? DISCARD_BYTES : ATOMIC_BYTES
  for (let offset = entry.offset; offset < end; ) {
    const next = Math.min(end, (Math.floor(offset / size) + 1) * size)
    yield { entry, offset, bytes: next - offset }
    offset = next
  }
}

function wholeOf(entry: LogEntry): Piece {
  return { entry, offset: entry.offset, bytes: entry.bytes }
}

function apply({ fd }: Recording, { entry, offset, bytes }: Piece, target: number): void {
  if (entry.discard) {
    const zeros = Buffer.alloc(Math.min(CHUNK_BYTES, bytes))
    for (let at = 0; at < bytes; at += zeros.length)
      writeSync(target, zeros, 0, Math.min(zeros.length, bytes - at), offset + at)
  }
  if (entry.dataAt === null) return
  const from = entry.dataAt + offset - entry.offset
  for (let at = 0; at < bytes; at += CHUNK_BYTES) {
    const chunk = readExactly(fd, from + at, Math.min(CHUNK_BYTES, bytes - at))
    for (let put = 0; put < chunk.length; )
      put += writeSync(target, chunk, put, chunk.length - put, offset + at + put)
  }
}

function copySparse(from: string, to: string): void {
  rmSync(to, { force: true })
  execFileSync('cp', ['--sparse=always', from, to])
}
