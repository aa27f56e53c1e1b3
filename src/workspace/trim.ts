/** Giving the space of deleted files back to the host, whose image file is sparse. */
import { readFileSync } from 'node:fs'
import type { BlockDevice } from '../sys/block-devices.ts'
import { runHelper } from '../sys/helper.ts'

/**
 * In milliseconds: 1 GiB without anything to give takes one, and a deleted gigabyte up to a second. What is left goes at
 * a later stop.
 */
const TRIM_MS = 500
/** A discard that hangs is left behind: the stop goes on. */
const HELPER_MARGIN_MS = 2_000

/** Whether the device takes discards: only then a trim has a use. */
export function takesDiscards({ number }: Pick<BlockDevice, 'number'>): boolean {
  // A partition has its queue in the disk above it.
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
 * FITRIM of the file system that the descriptor is open on, for at most half a second. Only what no committed file uses
 * is discarded, so a power cut meanwhile loses nothing.
 *
 * @param leftMs what the stop has left
 * @throws HelperError
 */
export async function trim(fd: number, leftMs: number): Promise<void> {
  const limitMs = Math.round(Math.min(TRIM_MS, leftMs))
  if (limitMs <= 0) return
  await runHelper('trim', [String(limitMs)], { limitMs: limitMs + HELPER_MARGIN_MS, fd })
}
