/**
 * Reads what an image file or a device is, as a volume, on the host and without mounting it. `identify-devices.ts` does so
 * in the guest, where a device may hang.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { findBlockDevice } from '../sys/block-devices.ts'
import { type Content, HEAD_BYTES, identify, needsTail, TAIL_BYTES } from './content.ts'
import { type Ext4Usage, ext4Usage } from './ext4-usage.ts'
import { lostAndFoundBytes } from './lost-and-found.ts'
import { lastActivityOf, MARK_AREA_BYTES, type Mark, readSlots, SLOT_BYTES, SLOTS } from './mark.ts'
import { availableBytes, type Ext4 } from './superblock.ts'
import { asVolumeError, VolumeError } from './volume-error.ts'

export interface LookedAt {
  readonly path: string
  /** Size of the file or the device. */
  readonly bytes: number
  readonly content: Content
  /**
   * What is in the place of the mark. `none`: there is no such place. `empty`: nothing yet. `newer`: the mark of a newer
   * guestd. `foreign`: other data.
   */
  readonly markPlace: 'none' | 'empty' | 'mark' | 'newer' | 'foreign'
  readonly mark: Mark | null
  /** How full the file system is; `null`: there is no intact one. */
  readonly usage: VolumeUsage | null
  /** Time of the last activity, from the mark; ISO 8601. `null`: it was never used, or that is not known. */
  readonly lastActivityAt: string | null
  /** When the file was last written; `null` for a device. */
  readonly changedAt: string | null
}

export interface VolumeUsage extends Ext4Usage {
  /** False if it was not left clean: the superblock then has numbers of an earlier time. */
  readonly exact: boolean
}

/** @throws VolumeError if it cannot be read */
export function lookAtVolume(path: string): LookedAt {
  try {
    // The open of a FIFO would wait for a writer.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return look(path, fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw asVolumeError(error)
  }
}

/** guestd uses it, or has used it, as a volume. */
export function isVolume({ content, markPlace }: LookedAt): boolean {
  if (content.kind === 'damaged') return content.mark !== null
  return content.kind === 'ext4' && markPlace !== 'none'
}

/** The mark follows a file system, which usually has blocks of this size. */
const ALIGNMENT = 4096

function look(path: string, fd: number): LookedAt {
  const stats = fstatSync(fd)
  if (!stats.isFile() && !stats.isBlockDevice())
    throw new VolumeError(`${path} is neither a file nor a block device`)
  const bytes = stats.isFile() ? stats.size : (findBlockDevice(path)?.bytes ?? 0)
  const content = contentOf(fd, bytes)
  const { markPlace, mark } = markOf(fd, bytes, content)
  return {
    path,
    bytes,
    content,
    markPlace,
    mark,
    usage: content.kind === 'ext4' ? usageOf(content, mark, lostAndFoundBytes(fd, content)) : null,
    lastActivityAt: mark === null || mark.generation === 0 ? null : lastActivityOf(mark),
    changedAt: stats.isFile() ? stats.mtime.toISOString() : null,
  }
}

function contentOf(fd: number, bytes: number): Content {
  const head = readAt(fd, 0, HEAD_BYTES)
  const content = identify(head)
  if (!needsTail(content)) return content
  const offset = Math.max(0, bytes - TAIL_BYTES - (bytes % ALIGNMENT))
  return identify(head, { bytes: readAt(fd, offset, bytes - offset), offset })
}

function markOf(fd: number, bytes: number, content: Content): Pick<LookedAt, 'markPlace' | 'mark'> {
  if (content.kind === 'damaged')
    return { markPlace: content.mark === null ? 'none' : 'mark', mark: content.mark }
  if (content.kind !== 'ext4' || bytes - content.bytes < MARK_AREA_BYTES)
    return { markPlace: 'none', mark: null }
  const { mark, refusal } = readSlots(readAt(fd, content.bytes, SLOTS * SLOT_BYTES))
  return { markPlace: refusal ?? (mark === null ? 'empty' : 'mark'), mark }
}

function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
}

function usageOf(ext4: Ext4, mark: Mark | null, lostAndFoundBytes: number): VolumeUsage {
  const { bytes, blockBytes, freeBlocks, overheadBlocks, inodes, freeInodes } = ext4
  // Without the overhead the blocks in use are not known.
  const takenBlocks = overheadBlocks === 0 ? 0 : bytes / blockBytes - overheadBlocks - freeBlocks
  const available = availableBytes(ext4)
  const counts = { blockBytes, takenBlocks, availableBytes: available, inodes, freeInodes }
  return {
    ...ext4Usage({ ...counts, lostAndFoundBytes }),
    exact: ext4.clean && !ext4.hasErrors && overheadBlocks > 0 && mark?.state !== 'inUse',
  }
}
