/** The backups that an ext4 keeps of its superblock. */
import { closeSync, openSync, readSync } from 'node:fs'
import { runHelper } from '../sys/helper.ts'
import { BACKUPS, type Backup, readSuperblock, SUPERBLOCK_BYTES } from './superblock.ts'

/** Size of one read of the helper, which begins at a multiple of 4 KiB. */
const READ_BYTES = 8192
const ALIGNMENT = 4096
/** In milliseconds. */
const READ_LIMIT_MS = 10_000

/**
 * In the guest, where a device may hang: whether there is anything like a superblock at the place of a first backup.
 * blkid and wipefs do not look there.
 *
 * @param bytes size of the device
 * @throws HelperError
 */
export async function hasBackup(path: string, bytes: number): Promise<boolean> {
  for (const { block, blockBytes } of BACKUPS) {
    const at = block * blockBytes
    const from = at - (at % ALIGNMENT)
    if (from + READ_BYTES > bytes) continue
    const read = await runHelper('read-mark', [path, String(from)], { limitMs: READ_LIMIT_MS })
    const superblock = read.subarray(at - from, at - from + SUPERBLOCK_BYTES)
    if (readSuperblock(superblock) !== null) return true
  }
  return false
}

/** On the host: the first backup that is whole; `null`: there is none. */
export function findBackup(path: string): Backup | null {
  const fd = openSync(path, 'r')
  try {
    const found = BACKUPS.find(({ block, blockBytes }) => {
      const superblock = Buffer.alloc(SUPERBLOCK_BYTES)
      readSync(fd, superblock, 0, SUPERBLOCK_BYTES, block * blockBytes)
      const ext4 = readSuperblock(superblock)
      return ext4 !== null && typeof ext4 !== 'string' && ext4.blockBytes === blockBytes
    })
    return found ?? null
  } finally {
    closeSync(fd)
  }
}
