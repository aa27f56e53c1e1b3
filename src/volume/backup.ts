/** The backup of an ext4's superblock. */
import { closeSync, openSync, readSync } from 'node:fs'
import { BACKUPS, type Backup, readExt4 } from '../protocol/volume/superblock.ts'

const SUPERBLOCK_BYTES = 1024

/** One that is whole; `null`: there is none. */
export function findBackup(path: string): Backup | null {
  const fd = openSync(path, 'r')
  try {
    const found = BACKUPS.find(({ block, blockBytes }) => {
      // As in the head of a device, where 1 KiB is before it.
      const head = Buffer.alloc(2 * SUPERBLOCK_BYTES)
      readSync(fd, head, SUPERBLOCK_BYTES, SUPERBLOCK_BYTES, block * blockBytes)
      const ext4 = readExt4(head)
      return ext4 !== null && typeof ext4 !== 'string' && ext4.blockBytes === blockBytes
    })
    return found ?? null
  } finally {
    closeSync(fd)
  }
}
