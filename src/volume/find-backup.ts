/** Looking for what is left of an ext4 that has lost its head. */

import { runHelper } from '../sys/helper.ts'
import { BACKUPS, readSuperblock, SUPERBLOCK_BYTES } from './superblock.ts'

/** What one look reads, from a multiple of 4 KiB on. */
const LOOK_BYTES = 8192
const ALIGNMENT = 4096
const READ_LIMIT_MS = 10_000

/**
 * Whether a superblock stands where ext4 has its first backup: blkid and wipefs do not look there.
 *
 * @throws HelperError
 */
export async function hasBackup(path: string, bytes: number): Promise<boolean> {
  for (const { block, blockBytes } of BACKUPS) {
    const at = block * blockBytes
    const from = at - (at % ALIGNMENT)
    if (from + LOOK_BYTES > bytes) continue
    const look = await runHelper('read-mark', [path, String(from)], { limitMs: READ_LIMIT_MS })
    const superblock = look.subarray(at - from, at - from + SUPERBLOCK_BYTES)
    if (readSuperblock(superblock) !== null) return true
  }
  return false
}
