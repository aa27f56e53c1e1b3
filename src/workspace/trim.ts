/** Gives the space of deleted files back to the host, whose image file is sparse. */
import { readFileSync } from 'node:fs'
import type { BlockDevice } from '../sys/block-devices.ts'
import { runHelper } from '../sys/helper.ts'
import { TRIM_MARGIN_MS, TRIM_MS } from './stop-budget.ts'

/** Whether the device takes discards: a trim of any other has no use. */
export function takesDiscards({ number }: Pick<BlockDevice, 'number'>): boolean {
  // A partition uses the queue of its disk.
  return ['queue', '../queue'].some(queue => {
    try {
      const path = `/sys/dev/block/${number}/${queue}/discard_max_bytes`
      return Number(readFileSync(path, 'utf8')) > 0
    } catch {
      return false
    }
  })
}

/**
 * Calls FITRIM on the file system of the descriptor, for at most half a second. It discards only blocks that no
 * committed file uses, so a power cut during it loses nothing.
 *
 * @param leftMs what the stop has left, in milliseconds; 0 or less: nothing is done
 * @throws HelperError
 */
export async function trim(fd: number, leftMs: number): Promise<void> {
  const limitMs = Math.round(Math.min(TRIM_MS, leftMs))
  if (limitMs <= 0) return
  await runHelper('trim', [String(limitMs)], { limitMs: limitMs + TRIM_MARGIN_MS, fd })
}
