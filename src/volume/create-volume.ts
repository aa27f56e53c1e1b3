/** Makes a volume of an exact size. */
import { closeSync, existsSync, linkSync, openSync, rmSync, statSync, truncateSync } from 'node:fs'
import { dirname } from 'node:path'
import { RESERVED_INODES } from './ext4-usage.ts'
import { writeFirstMark } from './first-mark.ts'
import { type LookedAt, lookAtVolume } from './look-at-volume.ts'
import { removeLostAndFound } from './lost-and-found.ts'
import { MARK_AREA_BYTES } from './mark.ts'
import { BLOCK_BYTES, MIN_BYTES, mke2fsArgs } from './mke2fs.ts'
import { availableBytes } from './superblock.ts'
import { runHostTool } from './tools.ts'
import { asVolumeError, VolumeError } from './volume-error.ts'

export interface CreateOptions {
  /** What users can write, in bytes; a multiple of 4 KiB. */
  readonly bytes: number
  readonly label: string
  /** Largest number of files and folders. Default: one for every block of 4 KiB. */
  readonly files?: number | null
  /** ext4's multiple mount protection, for a device that several hosts see. */
  readonly mmp?: boolean
  /** Its owner; `null`: the first session that uses it. */
  readonly sessionId: string | null
}

export { BLOCK_BYTES, MIN_BYTES }
/** A sparse file on ext4 holds at most 16 TiB, and the tables need some of it (Documentation/filesystems/ext4). */
export const MAX_BYTES = 8 * 1024 ** 4
/** Size of an inode. There is one inode for each block, so blocks run out first. */
const INODE_BYTES = 256
/** A first estimate of the journal, the bitmaps and the blocks that the kernel reserves. */
const GUESSED_OVERHEAD_BLOCKS = 12_800
/** The reserved ones, and the folder lost+found that e2fsck may make. */
const OWN_INODES = RESERVED_INODES + 1
/** A block of 4 KiB holds this many inodes. */
const INODES_PER_BLOCK = 16
/** The size that mke2fs gives to lost+found, which is removed at the end. */
const LOST_AND_FOUND_BYTES = 16 * 1024
/** Step across a gap, which is as wide as the tables of a group: a little over 2,048 blocks. */
const GAP_STEP_BLOCKS = 512
/** Each attempt comes closer. Two or three are usual, and twelve at a gap, as the tables grow in steps. */
const MAX_ATTEMPTS = 40

/**
 * Makes an image file with an ext4 in which users and root can write exactly the given number of bytes, and with the
 * place for the mark after it. It never changes an existing file, and removes its own file if it fails.
 *
 * @throws VolumeError
 */
export async function createVolume(path: string, options: CreateOptions): Promise<LookedAt> {
  if (statSync(path, { throwIfNoEntry: false })?.isBlockDevice())
    throw new VolumeError(`${path} is a block device: create makes image files`)
  const folder = dirname(path)
  if (!existsSync(folder)) throw new VolumeError(`there is no folder ${folder}`)
  const draft = `${path}.${process.pid}.draft`
  try {
    closeSync(openSync(draft, 'wx', 0o600))
    await formatExactly(draft, options)
    await makeExact(draft, options.bytes)
    finish(draft, options.sessionId)
    linkSync(draft, path)
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    throw exists ? new VolumeError(`${path} exists already`) : asVolumeError(error)
  } finally {
    rmSync(draft, { force: true })
  }
  return lookAtVolume(path)
}

/**
 * The usable size grows with the number of blocks, except for a gap before each group: mke2fs leaves out a last group
 * that is hardly larger than its tables. A surplus after such a gap is used for more inodes.
 */
async function formatExactly(
  path: string,
  { bytes, label, files = null, mmp = false }: CreateOptions,
): Promise<void> {
  const wanted = bytes / BLOCK_BYTES
  let inodes = files === null ? wanted : files + OWN_INODES
  let blocks = wanted + Math.ceil((inodes * INODE_BYTES) / BLOCK_BYTES) + GUESSED_OVERHEAD_BLOCKS
  /** The smallest surplus so far with this number of inodes. */
  let over: { readonly blocks: number; readonly surplus: number } | null = null
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const { available, isCut } = await format(path, { blocks, inodes, label, mmp })
    const surplus = available - wanted
    if (surplus === 0) return
    if (surplus > 0 && (over === null || surplus < over.surplus)) over = { blocks, surplus }
    if (surplus > 0 || !isCut) blocks -= surplus
    else if (over === null) blocks += GAP_STEP_BLOCKS
    else {
      inodes += over.surplus * INODES_PER_BLOCK
      blocks = over.blocks
      over = null
    }
  }
  throw new VolumeError(`no file system has exactly ${bytes} bytes: try a slightly different size`)
}

interface Geometry {
  readonly blocks: number
  readonly inodes: number
  readonly label: string
  readonly mmp: boolean
}

interface Made {
  /** What users can write, in blocks. */
  readonly available: number
  /** mke2fs has left out the last group. */
  readonly isCut: boolean
}

async function format(path: string, { blocks, inodes, label, mmp }: Geometry): Promise<Made> {
  truncateSync(path, 0)
  truncateSync(path, blocks * BLOCK_BYTES)
  const plan = { blocks, blockBytes: BLOCK_BYTES, inodes, reservedBlocks: 0, label, mmp }
  // The file is new: its inode tables are zeros already, and stay holes.
  const options = 'lazy_itable_init=0,nodiscard,assume_storage_prezeroed=1'
  const made = await runHostTool('mke2fs', mke2fsArgs(path, plan, options))
  if (made.status !== 0) throw new VolumeError(`mke2fs failed: ${made.text}`)
  const { content } = lookAtVolume(path)
  if (content.kind !== 'ext4') throw new VolumeError('mke2fs made no ext4')
  const available = (availableBytes(content) + LOST_AND_FOUND_BYTES) / BLOCK_BYTES
  return { available, isCut: content.bytes < blocks * BLOCK_BYTES }
}

async function makeExact(path: string, bytes: number): Promise<void> {
  await removeLostAndFound(path)
  const { content } = lookAtVolume(path)
  const available = content.kind === 'ext4' ? availableBytes(content) : 0
  if (available !== bytes)
    throw new VolumeError(
      `the file system gives ${available} bytes without lost+found, not ${bytes}`,
    )
}

function finish(path: string, sessionId: string | null): void {
  const { content } = lookAtVolume(path)
  const end = content.kind === 'ext4' ? content.bytes : 0
  truncateSync(path, end + MARK_AREA_BYTES)
  const mark = { sessionId, generation: 0, state: 'clean' } as const
  writeFirstMark(path, end, sessionId === null ? null : mark)
}
