/** Reading and writing the mark of the volume, on a device that is not mounted. */

import type { BlockDevice } from '../sys/block-devices.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { encodeMark, MARK_AREA_BYTES, type Mark, readSlots, type Slots } from './mark.ts'
import { unavailable } from './unavailable.ts'

/** 8 KiB from or to a device that is well take milliseconds. It is one of the steps of a stop. */
const MARK_LIMIT_MS = 15_000

export interface MarkPlace {
  /** The last one that was written whole; `null`: none yet. */
  readonly mark: Mark | null
  /**
   * Durable when it resolves; the sequence is set here.
   *
   * @throws HelperError ESTALE where the file system does not end there any more: nothing was written
   */
  write(mark: Omit<Mark, 'sequence' | 'at'>): Promise<void>
}

/**
 * `null` where the volume has no place for a mark.
 *
 * @param end where the file system ends, or is to end, in bytes
 * @throws GuestdError `workspace_unavailable` where something else is there: nothing was written
 * @throws HelperError
 */
export async function openMark(
  device: Pick<BlockDevice, 'path' | 'bytes'>,
  end: number,
): Promise<MarkPlace | null> {
  if (device.bytes - end < MARK_AREA_BYTES) return null
  const read = () => runHelper('read-mark', [device.path, String(end)], { limitMs: MARK_LIMIT_MS })
  let slots = readSlots(await read())
  if (slots.refusal !== null) throw unavailable(refusalWords(slots.refusal, device, end))
  return {
    get mark() {
      return slots.mark
    },
    async write(mark) {
      const sequence = (slots.mark?.sequence ?? 0) + 1
      const input = encodeMark({ ...mark, sequence, at: new Date().toISOString() })
      const offset = end + slots.nextOffset
      const args = [device.path, String(end), String(offset)]
      await runHelper('write-mark', args, { limitMs: MARK_LIMIT_MS, input })
      slots = readSlots(await read())
      if (slots.mark?.sequence !== sequence)
        throw new HelperError('write-mark', 'EIO', 'the mark is not there after it was written')
    },
  }
}

function refusalWords(
  refusal: NonNullable<Slots['refusal']>,
  { path }: Pick<BlockDevice, 'path'>,
  end: number,
) {
  const where = `at byte ${end} of ${path}`
  return refusal === 'newer'
    ? `the mark ${where} is that of a newer guestd: this one leaves the volume as it is`
    : `something that is not a guestd mark is ${where}: the volume is left as it is`
}
