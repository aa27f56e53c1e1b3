/** The file of the journal: read in pieces of bounded size, and replaced as a whole or not at all. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { crc32 } from 'node:zlib'

const MODE = 0o600
const PIECE_BYTES = 256 * 1024
const NEWLINE = 0x0a

export interface LineReader {
  /** A whole line, without its line break. The bytes are valid during the call. */
  line(bytes: Buffer): void
  /** A line that is longer than the limit. */
  tooLong(): void
}

/**
 * Reads a file to its end. A last line without a line break is left out: it was cut off.
 *
 * @throws Error with a `code` where it cannot be opened or read; the lines before that have been passed on
 */
export function readLines(path: string, maxLineBytes: number, reader: LineReader): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const piece = Buffer.allocUnsafe(PIECE_BYTES)
    let rest: Buffer = Buffer.alloc(0)
    let skips = false
    for (;;) {
      const length = readSync(fd, piece, 0, PIECE_BYTES, null)
      if (length === 0) return
      let from = 0
      for (;;) {
        const to = piece.subarray(0, length).indexOf(NEWLINE, from)
        if (to < 0) break
        const line = piece.subarray(from, to)
        if (skips || rest.length + line.length > maxLineBytes) reader.tooLong()
        else reader.line(rest.length === 0 ? line : Buffer.concat([rest, line]))
        rest = Buffer.alloc(0)
        skips = false
        from = to + 1
      }
      if (skips) continue
      skips = rest.length + length - from > maxLineBytes
      rest = skips ? Buffer.alloc(0) : Buffer.concat([rest, piece.subarray(from, length)])
    }
  } finally {
    closeSync(fd)
  }
}

export interface Written {
  /** Open for more lines at the end. */
  readonly fd: number
  readonly bytes: number
}

/**
 * Replaces the file: the new one is written to another name, read back and compared, and renamed only then. A failure
 * leaves the file as it was.
 *
 * @throws Error with a `code`, such as ENOSPC
 */
export function replaceFile(path: string, lines: Iterable<string>): Written {
  const next = `${path}.next`
  rmSync(next, { force: true })
  const { O_RDWR, O_CREAT, O_EXCL, O_APPEND } = constants
  const fd = openSync(next, O_RDWR | O_CREAT | O_EXCL | O_APPEND, MODE)
  try {
    const written = writePieces(fd, lines)
    const kept = readBack(fd)
    if (kept.bytes !== written.bytes || kept.crc !== written.crc)
      throw Object.assign(new Error(`${next} does not hold what was written`), { code: 'EIO' })
    renameSync(next, path)
    return { fd, bytes: written.bytes }
  } catch (error) {
    closeSync(fd)
    rmSync(next, { force: true })
    throw error
  }
}

/** Writes all of it. @throws Error with a `code`: some of it may be written */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length; ) from += writeSync(fd, bytes, from)
}

interface Sum {
  readonly bytes: number
  readonly crc: number
}

function writePieces(fd: number, lines: Iterable<string>): Sum {
  let [bytes, crc] = [0, 0]
  let waiting = ''
  const flush = () => {
    const piece = Buffer.from(waiting)
    waiting = ''
    writeAll(fd, piece)
    bytes += piece.length
    crc = crc32(piece, crc)
  }
  for (const line of lines) {
    waiting += line
    if (waiting.length >= PIECE_BYTES) flush()
  }
  flush()
  return { bytes, crc }
}

function readBack(fd: number): Sum {
  const piece = Buffer.allocUnsafe(PIECE_BYTES)
  const { size } = fstatSync(fd)
  let [bytes, crc] = [0, 0]
  while (bytes < size) {
    const length = readSync(fd, piece, 0, PIECE_BYTES, bytes)
    if (length === 0) break
    crc = crc32(piece.subarray(0, length), crc)
    bytes += length
  }
  return { bytes, crc }
}
