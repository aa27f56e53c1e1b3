/** What an image file or a device is, as a volume. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import {
  lastActivityOf,
  MARK_AREA_BYTES,
  type Mark,
  readSlots,
  SLOT_BYTES,
  SLOTS,
} from '../protocol/volume/mark.ts'
import { type Content, HEAD_BYTES, identify } from '../protocol/volume/superblock.ts'
import { findBlockDevice } from '../sys/block-devices.ts'
import { VolumeError } from './error.ts'

export interface LookedAt {
  readonly path: string
  /** Of the file or the device. */
  readonly bytes: number
  readonly content: Content
  /** There is a place for a mark. */
  readonly hasMarkPlace: boolean
  readonly mark: Mark | null
  /** When it was last used: of the mark, or else of the file; ISO 8601. */
  readonly usedAt: string
}

/** @throws VolumeError where it cannot be read */
export function lookAtVolume(path: string): LookedAt {
  try {
    const fd = openSync(path, 'r')
    try {
      return look(path, fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw new VolumeError(error instanceof Error ? error.message : String(error))
  }
}

function look(path: string, fd: number): LookedAt {
  const stats = fstatSync(fd)
  if (!stats.isFile() && !stats.isBlockDevice())
    throw new VolumeError(`${path} is neither a file nor a block device`)
  const bytes = stats.isFile() ? stats.size : (findBlockDevice(path)?.bytes ?? 0)
  const content = identify(readAt(fd, 0, HEAD_BYTES))
  const end = content.kind === 'ext4' ? content.bytes : bytes
  const hasPlace = bytes - end >= MARK_AREA_BYTES
  const slots = hasPlace ? readSlots(readAt(fd, end, SLOTS * SLOT_BYTES)) : null
  const mark = slots?.mark ?? null
  return {
    path,
    bytes,
    content,
    hasMarkPlace: slots !== null && slots.refusal === null,
    mark,
    usedAt: mark === null ? statSync(path).mtime.toISOString() : lastActivityOf(mark),
  }
}

function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
}
