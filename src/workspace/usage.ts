/** How full the workspace is; on a device by one statfs(2), whatever is in it. */
import { statfsSync } from 'node:fs'
import { ext4Usage } from '../volume/ext4-usage.ts'

export type Full = 'bytes' | 'inodes'

export interface Usage {
  /** What was put there; files that are deleted and still open count. */
  readonly usedBytes: number
  /** What a user may still write. */
  readonly availableBytes: number
  readonly capBytes: number
  readonly usedInodes: number
  /** `null`: nothing caps them. */
  readonly availableInodes: number | null
  /** What has run out. */
  readonly full: Full | null
  /** When it was measured; ISO 8601, UTC. */
  readonly at: string
}

/**
 * With no more left the space counts as run out, in bytes. On kernels with large folios a write of up to this
 * size fails whole, and leaves what it would have taken.
 */
const FULL_BYTES = 1024 * 1024
/** But of a small file system no larger share. */
const FULL_SHARE = 1 / 16

/**
 * Of the ext4 that the descriptor is open on. The file system's own tables are in neither number. It reads
 * nothing that a command may have put there, and never waits.
 *
 * @param ownBytes what lost+found takes; 0: there is none
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

/** Changes when the file system is resized: its size without its tables, in bytes. */
export function sizeOf(fd: number): number {
  const { bsize, blocks } = statfsSync(pathOf(fd))
  return bsize * blocks
}

/** The folder itself that the descriptor is open on, also where another file system is mounted over it. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`
}
