/** How full the workspace is. On a device one statfs(2) returns it, in constant time. */
import { statfsSync } from 'node:fs'
import { ext4Usage } from '../volume/ext4-usage.ts'

export type Full = 'bytes' | 'inodes'

export interface Usage {
  /** What users have written. Files that are deleted and still open count. */
  readonly usedBytes: number
  /** What a user may still write. */
  readonly availableBytes: number
  readonly capBytes: number
  readonly usedInodes: number
  /** `null`: they have no cap. */
  readonly availableInodes: number | null
  /** What has run out. */
  readonly full: Full | null
  /** When it was measured; ISO 8601, UTC. */
  readonly at: string
}

/**
 * The space counts as full if no more than this is left, in bytes. On kernels with large folios a write of up to this size
 * fails as a whole, and leaves the rest unused.
 */
const FULL_BYTES = 1024 * 1024
/** But no more than this share of a small file system. */
const FULL_SHARE = 1 / 16

/**
 * Reads the usage of the ext4 that the descriptor is open on. Neither number contains the file system's own tables. It
 * reads nothing that a command may have written, and never waits.
 *
 * @param ownBytes size of lost+found; 0: there is none
 * @throws Error of statfs(2)
 */
export function readUsage(fd: number, ownBytes: number): Usage {
  const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(pathOf(fd))
  const usage = ext4Usage({
    blockBytes: bsize,
    takenBlocks: blocks - bfree,
    availableBytes: bavail * bsize,
    inodes: files,
    freeInodes: ffree,
    lostAndFoundBytes: ownBytes,
  })
  const { availableBytes, capBytes } = usage
  const isFull = availableBytes <= Math.min(FULL_BYTES, capBytes * FULL_SHARE)
  return {
    ...usage,
    full: ffree === 0 ? 'inodes' : isFull ? 'bytes' : null,
    at: new Date().toISOString(),
  }
}

/** The size without tables, in bytes. It changes only if the file system is resized. */
export function sizeOf(fd: number): number {
  const { bsize, blocks } = statfsSync(pathOf(fd))
  return bsize * blocks
}

/** A path to the folder that the descriptor is open on, even if another file system is mounted over it. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`
}
