/**
 * The log of every write and flush of a disk, in the format of Linux's dm-log-writes
 * (Documentation/admin-guide/device-mapper/log-writes.rst, drivers/md/dm-log-writes.c), as QEMU's
 * blklogwrites makes it: a superblock, then entries, each a header of one sector with its data behind.
 */
import { fstatSync, readSync } from 'node:fs'

export interface LogEntry {
  /** Counted from 0. */
  readonly index: number
  /** Where on the disk, in bytes. */
  readonly offset: number
  readonly bytes: number
  /** All writes that had completed before it are durable. Data of its own comes after that. */
  readonly flush: boolean
  /** The write is durable when it completes. */
  readonly fua: boolean
  /** The content of the range is gone: zeros, or what was there. */
  readonly discard: boolean
  /** Where the data is in the log, in bytes; `null`: none is there. */
  readonly dataAt: number | null
}

/** The file is no log, or is cut off within what its superblock counts. */
export class WriteLogError extends Error {
  override readonly name = 'WriteLogError'
}

const SUPERBLOCK_BYTES = 28
const ENTRY_BYTES = 32
const MAGIC = 0x6a736677736872n
const VERSION = 1n
/** The unit of positions and lengths, whatever the size of the log's own sectors. */
const SECTOR_BYTES = 512
const MAX_SECTOR_BYTES = 64 * 1024
const FLUSH = 1n
const FUA = 2n
const DISCARD = 4n
const MARK = 8n

/**
 * The entries that the superblock counts, in their order; marks of dm-log-writes itself are passed
 * over. It holds one header at a time. A log that has just begun, without a
 * superblock yet, has none.
 *
 * @param fd of the log, open for reading
 * @throws WriteLogError
 */
export function* readWriteLog(fd: number): Generator<LogEntry> {
  const size = fstatSync(fd).size
  if (size === 0) return
  const superblock = readExactly(fd, 0, SUPERBLOCK_BYTES)
  if (superblock.every(byte => byte === 0)) return
  if (superblock.readBigUInt64LE(0) !== MAGIC) throw new WriteLogError('it has no superblock')
  const version = superblock.readBigUInt64LE(8)
  if (version !== VERSION) throw new WriteLogError(`it is of version ${version}`)
  const count = Number(superblock.readBigUInt64LE(16))
  const sectorBytes = superblock.readUInt32LE(24)
  if (sectorBytes < SECTOR_BYTES || sectorBytes > MAX_SECTOR_BYTES)
    throw new WriteLogError(`its sectors have ${sectorBytes} bytes`)
  let at = sectorBytes
  for (let index = 0; index < count; index++) {
    const header = readExactly(fd, at, ENTRY_BYTES)
    const flags = header.readBigUInt64LE(16)
    const unit = flags & MARK ? 1 : sectorBytes
    const bytes = Number(header.readBigUInt64LE(8)) * unit
    const dataBytes = flags & MARK ? Number(header.readBigUInt64LE(24)) : bytes
    const hasData = (flags & DISCARD) === 0n && dataBytes > 0
    const dataAt = at + sectorBytes
    at = dataAt + (hasData ? Math.ceil(dataBytes / sectorBytes) * sectorBytes : 0)
    if (at > size) throw new WriteLogError(`entry ${index} of ${count} is cut off`)
    if (flags & MARK) continue
    yield {
      index,
      offset: Number(header.readBigUInt64LE(0)) * sectorBytes,
      bytes,
      flush: (flags & FLUSH) !== 0n,
      fua: (flags & FUA) !== 0n,
      discard: (flags & DISCARD) !== 0n,
      dataAt: hasData ? dataAt : null,
    }
  }
}

/** @throws WriteLogError at the end of the file */
export function readExactly(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let held = 0; held < length; ) {
    const got = readSync(fd, bytes, held, length - held, offset + held)
    if (got === 0) throw new WriteLogError(`it ends at ${offset + held}`)
    held += got
  }
  return bytes
}
