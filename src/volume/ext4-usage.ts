/** How full an ext4 is, without the parts that no user has written. Pure. */

/** The counts of a file system, from statfs(2) or from its superblock. */
export interface Ext4Counts {
  readonly blockBytes: number
  /** Blocks in use, without the tables of the file system. */
  readonly takenBlocks: number
  /** What a user may still write, in bytes. */
  readonly availableBytes: number
  readonly inodes: number
  readonly freeInodes: number
  /** Size of the folder lost+found, in bytes; 0: there is none. */
  readonly lostAndFoundBytes: number
}

export interface Ext4Usage {
  /** What users have written; the tables of the file system do not count. */
  readonly usedBytes: number
  readonly availableBytes: number
  /** The sum of both. */
  readonly capBytes: number
  readonly usedInodes: number
  readonly availableInodes: number
}

/** The root folder, and the inode that holds resized group descriptors. */
const OWN_BLOCKS = 2
/** EXT4_GOOD_OLD_FIRST_INO is the first that is not reserved. */
export const RESERVED_INODES = 10

export function ext4Usage(counts: Ext4Counts): Ext4Usage {
  const { blockBytes, takenBlocks, availableBytes, lostAndFoundBytes } = counts
  const ownBytes = OWN_BLOCKS * blockBytes + lostAndFoundBytes
  const ownInodes = RESERVED_INODES + (lostAndFoundBytes > 0 ? 1 : 0)
  const usedBytes = Math.max(0, takenBlocks * blockBytes - ownBytes)
  return {
    usedBytes,
    availableBytes,
    capBytes: usedBytes + availableBytes,
    usedInodes: Math.max(0, counts.inodes - counts.freeInodes - ownInodes),
    availableInodes: counts.freeInodes,
  }
}
