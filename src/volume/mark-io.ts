/** Reads and writes the mark of a volume. */

import type { BlockDevice } from '../sys/block-devices.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { encodeMark, MARK_AREA_BYTES, type Mark, readSlots, type Slots } from './mark.ts'
import { unavailable } from './unavailable.ts'

/** A device that works reads or writes 8 KiB within milliseconds. */
const MARK_LIMIT_MS = 15_000

export interface MarkPlace {
  /** The newest complete mark; `null`: none yet. */
  readonly mark: Mark | null
  /**
   * Writes the mark with the next sequence, and reads it back. Durable when it resolves.
   *
   * @param deadline a `performance.now()` time; at most 15 s from now, the default
   * @throws HelperError; ESTALE if the file system does not end there any more: nothing was written
   */
  write(mark: Omit<Mark, 'sequence' | 'at'>, deadline?: number): Promise<void>
}

/**
 * @param end where the file system ends, or will end, in bytes
 * @returns `null`: the volume has no place for a mark
 * @throws GuestdError `workspace_unavailable` if something else is there
 * @throws HelperError
 */
export async function openMark(
  device: Pick<BlockDevice, 'path' | 'bytes'>,
  end: number,
): Promise<MarkPlace | null> {
  if (device.bytes - end < MARK_AREA_BYTES) return null
  const read = (limitMs: number) => runHelper('read-mark', [device.path, String(end)], { limitMs })
  let slots = readSlots(await read(MARK_LIMIT_MS))
  if (slots.refusal !== null) throw unavailable(refusalText(slots.refusal, device, end))
  return {
    get mark() {
      return slots.mark
    },
    async write(mark, deadline = Number.POSITIVE_INFINITY) {
      const until = Math.min(deadline, performance.now() + MARK_LIMIT_MS)
      const leftMs = () => Math.max(Math.round(until - performance.now()), 0)
      const sequence = (slots.mark?.sequence ?? 0) + 1
      const input = encodeMark({ ...mark, sequence, at: new Date().toISOString() })
      const offset = end + slots.nextOffset
      const args = [device.path, String(end), String(offset)]
      await runHelper('write-mark', args, { limitMs: leftMs(), input })
      slots = readSlots(await read(leftMs()))
      if (slots.mark?.sequence !== sequence)
        throw new HelperError('write-mark', 'EIO', 'the mark is not there after it was written')
    },
  }
}

function refusalText(
  refusal: NonNullable<Slots['refusal']>,
  { path }: Pick<BlockDevice, 'path'>,
  end: number,
) {
  const where = `at byte ${end} of ${path}`
  return refusal === 'newer'
    ? `the mark ${where} was written by a newer guestd: this guestd does not change the volume`
    : `something that is not a guestd mark is ${where}: guestd does not change the volume`
}
