/** The folder `lost+found` of a file system that is not in use. */
import { readSync } from 'node:fs'
import type { Ext4 } from './superblock.ts'
import { runHostTool } from './tools.ts'

/** Offset and size of the superblock (Documentation/filesystems/ext4/super.rst). */
const SUPERBLOCK = 1024
const SUPERBLOCK_BYTES = 1024
const INCOMPAT_64BIT = 0x80
const MIN_INODE_BYTES = 128
const GROUP_BYTES = 64
/** EXT4_GOOD_OLD_FIRST_INO, counted from 1: mke2fs gives it to lost+found. */
const INODE = 11
const FORMAT_MASK = 0xf000
const FOLDER = 0x4000
const SECTOR_BYTES = 512
/** Another folder may have its inode now: its size counts up to this. */
const MAX_BYTES = 64 * 1024

/** Its size in bytes; 0: there is none. It belongs to root and has no generation: guestd-helper checks the same. */
export function lostAndFoundBytes(fd: number, { blockBytes }: Ext4): number {
  const superblock = readAt(fd, SUPERBLOCK, SUPERBLOCK_BYTES)
  const isWide = (superblock.readUInt32LE(0x60) & INCOMPAT_64BIT) !== 0
  const inodeBytes = superblock.readUInt16LE(0x58)
  const group = readAt(fd, (superblock.readUInt32LE(0x14) + 1) * blockBytes, GROUP_BYTES)
  const table = group.readUInt32LE(0x08) + (isWide ? group.readUInt32LE(0x28) * 2 ** 32 : 0)
  const at = table * blockBytes + (INODE - 1) * inodeBytes
  // A damaged descriptor may have any number.
  if (!Number.isSafeInteger(at)) return 0
  const inode = readAt(fd, at, MIN_INODE_BYTES)
  const isFolder =
    (inode.readUInt16LE(0x00) & FORMAT_MASK) === FOLDER && inode.readUInt16LE(0x1a) > 0
  const isRoots = inode.readUInt16LE(0x02) === 0 && inode.readUInt16LE(0x78) === 0
  if (!isFolder || !isRoots || inode.readUInt32LE(0x64) !== 0) return 0
  return Math.min(inode.readUInt32LE(0x1c) * SECTOR_BYTES, MAX_BYTES)
}

/**
 * Removes it if it is empty and mke2fs or e2fsck has made it, on an intact file system. Users cannot read it, so programs
 * that read all of the workspace would fail. e2fsck makes it again when it needs it, with any inode. A folder of this name
 * that belongs to a user stays.
 *
 * @throws VolumeError if debugfs is not installed
 */
export async function removeLostAndFound(path: string): Promise<void> {
  const { text } = await runHostTool('debugfs', ['-R', 'stat /lost+found', path])
  const [, type, generation, user] = STAT.exec(text) ?? []
  if (type !== 'directory' || generation !== '0' || user !== '0') return
  // It does not remove a folder with entries, and exits with 0 in any case.
  await runHostTool('debugfs', ['-w', '-R', 'rmdir /lost+found', path])
}

/** The first lines of debugfs. Extended attributes, which a user can set, follow them. */
const STAT = /^Inode: \d+ +Type: (\S+) .*\nGeneration: (\d+) .*\nUser: +(\d+) /m

/** Reads zeros past the end. */
function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  readSync(fd, bytes, 0, length, offset)
  return bytes
}
