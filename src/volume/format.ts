/** Makes the file system of a volume, on a device that is not in use. */

import type { GuestdError } from '../errors.ts'
import type { BlockDevice } from '../sys/block-devices.ts'
import { contentWords } from './content.ts'
import { lookAt } from './identify-devices.ts'
import { MARK_AREA_BYTES, type PendingFormat, type Reset } from './mark.ts'
import { BLOCK_BYTES, MIN_BYTES, mke2fsArgs } from './mke2fs.ts'
import { sizeText } from './size-text.ts'
import type { Ext4 } from './superblock.ts'
import { hasBackup } from './superblock-backup.ts'
import { runGuestTool } from './tools.ts'
import { unavailable } from './unavailable.ts'

const LABEL = 'guestd-workspace'
/** s_inodes_count has 32 bits. */
const MAX_INODES = 2 ** 32 - 1
/** To write bitmaps and the journal, in milliseconds. The kernel writes the inode tables later. */
const FORMAT_LIMIT_MS = 600_000
/** A few reads at both ends of the device, in milliseconds. */
const LOOK_LIMIT_MS = 30_000

/**
 * Plans the file system for a blank device: nothing reserved, one inode for each block, and the place for the mark after
 * it.
 *
 * @throws GuestdError `workspace_unavailable` if the device is too small, or not blank
 */
export async function planBlank({ path, bytes }: BlockDevice): Promise<PendingFormat> {
  const blocks = Math.floor((bytes - MARK_AREA_BYTES) / BLOCK_BYTES)
  if (blocks * BLOCK_BYTES < MIN_BYTES)
    throw unavailable(
      `${path} is blank, but too small to be formatted: ${sizeText(bytes)} of ${sizeText(MIN_BYTES + MARK_AREA_BYTES)} at least`,
    )
  const content = await lookAt(path, bytes)
  if (content.kind !== 'blank') throw unavailable(`${path} is ${contentWords(content)}, not ext4`)
  const seen = await runGuestTool(
    'wipefs',
    ['--noheadings', '--output', 'TYPE', path],
    LOOK_LIMIT_MS,
  )
  if (await hasBackup(path, bytes))
    throw unavailable(`${path} is not formatted: it has a backup of an ext4 superblock`)
  if (seen !== null && (seen.status !== 0 || seen.text !== ''))
    throw unavailable(`${path} is not formatted, because wipefs finds on it: ${seen.text}`)
  return {
    why: 'blank',
    blocks,
    blockBytes: BLOCK_BYTES,
    inodes: Math.min(blocks, MAX_INODES),
    reservedBlocks: 0,
    label: LABEL,
    mmp: false,
  }
}

/** Plans the same file system again, empty. */
export function planAgain(ext4: Ext4, why: Reset): PendingFormat {
  const { bytes, blockBytes, inodes, reservedBlocks, label, mmp } = ext4
  return { why, blocks: bytes / blockBytes, blockBytes, inodes, reservedBlocks, label, mmp }
}

/** @throws GuestdError `workspace_unavailable` if mke2fs is not installed */
export async function checkFormatter({ path }: BlockDevice): Promise<void> {
  const ran = await runGuestTool('mke2fs', ['-V'], LOOK_LIMIT_MS)
  if (ran === null) throw notInstalled(path)
}

function notInstalled(path: string): GuestdError {
  return unavailable(`${path} cannot be formatted: there is no mke2fs (e2fsprogs)`)
}

/**
 * Makes the file system over whatever is there. Durable when it resolves.
 *
 * @throws GuestdError `workspace_unavailable`
 */
export async function format({ path, bytes }: BlockDevice, plan: PendingFormat): Promise<Ext4> {
  const args = mke2fsArgs(path, plan, 'lazy_itable_init=1')
  const ran = await runGuestTool('mke2fs', args, FORMAT_LIMIT_MS)
  if (ran === null) throw notInstalled(path)
  if (ran.status !== 0)
    throw unavailable(
      `${path} cannot be formatted by mke2fs (exit code ${ran.status}): ${ran.text}`,
    )
  const content = await lookAt(path, bytes)
  if (content.kind === 'ext4' && content.bytes === plan.blocks * plan.blockBytes) return content
  throw unavailable(`${path} is ${contentWords(content)} after it was formatted`)
}
