/** The superblock of an ext4 (Documentation/filesystems/ext4/super.rst). Pure. */
import { crc32c } from './crc32c.ts'

export interface Ext4 {
  readonly kind: 'ext4'
  readonly label: string
  readonly uuid: string
  /** Size of the file system. The device is at least as large. */
  readonly bytes: number
  readonly blockBytes: number
  /** As of the last unmount or write of the superblock. So are all free counts. */
  readonly freeBlocks: number
  /** Only root may use them. */
  readonly reservedBlocks: number
  /** Blocks of the file system's own tables; 0: not known. */
  readonly overheadBlocks: number
  readonly inodes: number
  readonly freeInodes: number
  /** Multiple mount protection: hosts that share the device exclude each other. */
  readonly mmp: boolean
  /** It was unmounted, so the journal has nothing to replay. */
  readonly clean: boolean
  /** It has been mounted before, so there may be files. */
  readonly used: boolean
  /** The kernel has found errors in it. */
  readonly hasErrors: boolean
}

/** @returns `null`: there is no superblock; `broken`: its values are impossible, or do not match its checksum */
export function readExt4(head: Buffer): Ext4 | 'broken' | 'no journal' | null {
  return readSuperblock(head.subarray(SUPERBLOCK, SUPERBLOCK + SUPERBLOCK_BYTES))
}

/** The same for the 1 KiB of a superblock or a backup of it. */
export function readSuperblock(block: Buffer): ReturnType<typeof readExt4> {
  if (block.length < SUPERBLOCK_BYTES || block.readUInt16LE(0x38) !== MAGIC) return null
  if (!isSane(block)) return 'broken'
  // Without a journal a power cut can leave any damage.
  if ((block.readUInt32LE(0x5c) & COMPAT_JOURNAL) === 0) return 'no journal'
  const incompatible = block.readUInt32LE(0x60)
  const wide = (incompatible & INCOMPAT_64BIT) !== 0
  const read = (low: number, high: number) =>
    (wide ? block.readUInt32LE(high) * 2 ** 32 : 0) + block.readUInt32LE(low)
  const blockBytes = MIN_BLOCK_BYTES * 2 ** block.readUInt32LE(0x18)
  const state = block.readUInt16LE(0x3a)
  return {
    kind: 'ext4',
    label: text(block.subarray(0x78, 0x88)),
    uuid: block.toString('hex', 0x68, 0x78).replace(UUID, '$1-$2-$3-$4-$5'),
    bytes: read(0x04, 0x150) * blockBytes,
    blockBytes,
    freeBlocks: read(0x0c, 0x158),
    reservedBlocks: read(0x08, 0x154),
    overheadBlocks: block.readUInt32LE(0x248),
    inodes: block.readUInt32LE(0x00),
    freeInodes: block.readUInt32LE(0x10),
    mmp: (incompatible & INCOMPAT_MMP) !== 0,
    clean: (state & STATE_CLEAN) !== 0 && (incompatible & INCOMPAT_RECOVER) === 0,
    used: block.readUInt32LE(0x2c) !== 0,
    hasErrors: (state & STATE_ERRORS) !== 0,
  }
}

/**
 * What a user can write, in bytes: the free blocks, without those for root and those that the kernel reserves for itself
 * (ext4_set_resv_clusters: 2 %, at most 4,096). statfs(2) returns the same once it is mounted.
 */
export function availableBytes({ bytes, blockBytes, freeBlocks, reservedBlocks }: Ext4): number {
  const kept = Math.min(Math.floor(bytes / blockBytes / KEPT_DIVISOR), MAX_KEPT_BLOCKS)
  return Math.max(0, freeBlocks - reservedBlocks - kept) * blockBytes
}

const KEPT_DIVISOR = 50
const MAX_KEPT_BLOCKS = 4096

/** Offset and size of the superblock. */
const SUPERBLOCK = 1024
export const SUPERBLOCK_BYTES = 1024
const MAGIC = 0xef53
const MIN_BLOCK_BYTES = 1024
/** 64 KiB a block. */
const MAX_LOG_BLOCK = 6
const STATE_CLEAN = 0x1
const STATE_ERRORS = 0x2
const COMPAT_JOURNAL = 0x4
const INCOMPAT_RECOVER = 0x4
const INCOMPAT_64BIT = 0x80
const INCOMPAT_MMP = 0x100
const RO_COMPAT_METADATA_CSUM = 0x400
const CHECKSUM = 0x3fc
const UUID = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/

/** The checksum is a CRC-32C without the inversion at its end. */
function isSane(block: Buffer): boolean {
  if (block.readUInt32LE(0x18) > MAX_LOG_BLOCK || block.readUInt32LE(0x04) === 0) return false
  if ((block.readUInt32LE(0x64) & RO_COMPAT_METADATA_CSUM) === 0) return true
  const expected = ~crc32c(block.subarray(0, CHECKSUM)) >>> 0
  return block.readUInt32LE(CHECKSUM) === expected
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

/** The place of a backup of the superblock. */
export interface Backup {
  /** In blocks. */
  readonly block: number
  readonly blockBytes: number
}

/** The first one, at the beginning of the second group, for every size of a block (e2fsck(8), -b). */
export const BACKUPS: readonly Backup[] = [
  { block: 32_768, blockBytes: 4096 },
  { block: 16_384, blockBytes: 2048 },
  { block: 8_193, blockBytes: 1024 },
]
