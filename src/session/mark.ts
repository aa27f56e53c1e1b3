/** Reading and writing the mark of the volume, on a device that is not mounted. */
import { encodeMark, MARK_AREA_BYTES, type Mark, readSlots } from '../protocol/volume/mark.ts'
import type { Ext4 } from '../protocol/volume/superblock.ts'
import type { BlockDevice } from '../sys/block-devices.ts'
import { runHelper } from '../sys/helper.ts'

/** 8 KiB from or to a device that is well take milliseconds. */
const MARK_LIMIT_MS = 30_000

export interface MarkPlace {
  /** The last one that was written whole; `null`: none yet. */
  readonly mark: Mark | null
  /** Durable when it resolves; the sequence is set here. */
  write(mark: Omit<Mark, 'sequence' | 'at'>): Promise<void>
}

/**
 * `null` where the volume has no place for a mark, or where something else is there.
 *
 * @throws HelperError
 */
export async function openMark(device: BlockDevice, ext4: Ext4): Promise<MarkPlace | null> {
  if (device.bytes - ext4.bytes < MARK_AREA_BYTES) return null
  const read = () =>
    runHelper('slots', [device.path, String(ext4.bytes)], { limitMs: MARK_LIMIT_MS })
  let slots = readSlots(await read())
  if (slots.foreign) return null
  return {
    get mark() {
      return slots.mark
    },
    async write(mark) {
      const sequence = (slots.mark?.sequence ?? 0) + 1
      const input = encodeMark({ ...mark, sequence, at: new Date().toISOString() })
      const offset = ext4.bytes + slots.nextOffset
      await runHelper('put', [device.path, String(offset)], { limitMs: MARK_LIMIT_MS, input })
      slots = readSlots(await read())
    },
  }
}
