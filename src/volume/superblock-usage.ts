/** How full an ext4 is, by its superblock alone. */
import type { Mark } from './mark.ts'
import { availableBytes, type Ext4 } from './superblock.ts'

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

/** @param lostAndFoundBytes what the folder lost+found takes; 0: there is none */
export function usageOf(ext4: Ext4, mark: Mark | null, lostAndFoundBytes: number): VolumeUsage {
  const { bytes, blockBytes, freeBlocks, overheadBlocks, inodes, freeInodes } = ext4
  const takenBlocks = bytes / blockBytes - overheadBlocks - freeBlocks
  const own = OWN_BLOCKS * blockBytes + lostAndFoundBytes
  const ownInodes = RESERVED_INODES + (lostAndFoundBytes > 0 ? 1 : 0)
  const usedBytes = overheadBlocks === 0 ? 0 : Math.max(0, takenBlocks * blockBytes - own)
  const available = availableBytes(ext4)
  return {
    usedBytes,
    availableBytes: available,
    capBytes: usedBytes + available,
    usedInodes: Math.max(0, inodes - freeInodes - ownInodes),
    availableInodes: freeInodes,
    exact: ext4.clean && !ext4.hasErrors && overheadBlocks > 0 && mark?.state !== 'inUse',
  }
}

/** The root folder, and the inode that holds resized group descriptors. */
const OWN_BLOCKS = 2
/** EXT4_GOOD_OLD_FIRST_INO is the first that is not reserved. */
const RESERVED_INODES = 10
