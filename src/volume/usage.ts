/** How full an ext4 is, by its superblock alone. */
import type { Mark } from '../protocol/volume/mark.ts'
import { availableBytes, type Ext4 } from '../protocol/volume/superblock.ts'

export interface VolumeUsage {
  /** What was put there; the tables of the file system do not count. */
  readonly usedBytes: number
  readonly availableBytes: number
  /** The sum of both. */
  readonly capBytes: number
  readonly usedInodes: number
  readonly availableInodes: number
  /** False where it was not left clean: the superblock's numbers are those of an earlier time. */
  readonly exact: boolean
}

export function usageOf(ext4: Ext4, mark: Mark | null): VolumeUsage {
  const { bytes, blockBytes, freeBlocks, overheadBlocks, inodes, freeInodes } = ext4
  const takenBlocks = bytes / blockBytes - overheadBlocks - freeBlocks
  const own = OWN_BLOCKS * blockBytes + Math.max(LOST_AND_FOUND_BYTES, blockBytes)
  const usedBytes = overheadBlocks === 0 ? 0 : Math.max(0, takenBlocks * blockBytes - own)
  const available = availableBytes(ext4)
  return {
    usedBytes,
    availableBytes: available,
    capBytes: usedBytes + available,
    usedInodes: Math.max(0, inodes - freeInodes - OWN_INODES),
    availableInodes: freeInodes,
    exact: ext4.clean && !ext4.hasErrors && overheadBlocks > 0 && mark?.state !== 'inUse',
  }
}

/** The root folder, and the inode that holds resized group descriptors. */
const OWN_BLOCKS = 2
/** mke2fs makes it as large, or one block. */
const LOST_AND_FOUND_BYTES = 16 * 1024
/** EXT4_GOOD_OLD_FIRST_INO: 10 reserved ones, and lost+found. */
const OWN_INODES = 11
