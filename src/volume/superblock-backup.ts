/** The backup of an ext4's superblock. */
import { closeSync, openSync, readSync } from 'node:fs'
import { BACKUPS, type Backup, readSuperblock, SUPERBLOCK_BYTES } from './superblock.ts'

/** One that is whole; `null`: there is none. */
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
