/**
 * Where a power cut is tried. Pure: a point is the same for the same log, seed and number, whatever
 * else is tried.
 */
import { createRandom, type Random } from './random.ts'
import type { LogEntry } from './write-log.ts'

export interface Point {
  readonly number: number
  /** Entries before this one are on the disk, all of them: the last flush before the cut. */
  readonly durable: number
  /** Entries before this one had completed: of those since the flush some are on the disk. */
  readonly cut: number
  /** What becomes of the pieces of those. */
  readonly keeps: Keeps
}

/** Of each piece in the order of the log: whether it reached the disk. */
export type Keeps = 'none' | 'all' | { readonly seed: number; readonly likelihood: number }

/** Of the points, those in the last flushes: the stop is short, and has most to lose. */
const STOP_SHARE = 0.1
const STOP_FLUSHES = 16
const MODES = ['none', 'all', 'some', 'some'] as const
/** Streams of the seed beside those of points. */
const PIECES = 0x100000

/**
 * The point of this number: the first is the disk as it was before, the last one what is durable at
 * the end, the others are spread evenly over the flushes.
 */
export function choosePoint(
  entries: readonly LogEntry[],
  { seed, number, of }: { readonly seed: number; readonly number: number; readonly of: number },
): Point {
  const flushes = [0, ...entries.filter(({ flush }) => flush).map(({ index }) => index + 1)]
  const end = (entries.at(-1)?.index ?? -1) + 1
  if (number === 0) return { number, durable: 0, cut: 0, keeps: 'none' }
  const last = flushes.length - 1
  if (number === of - 1) return { number, durable: flushes[last] ?? 0, cut: end, keeps: 'none' }
  const random = createRandom(seed, number)
  const flush = chooseFlush(random, last, number / of)
  const durable = flushes[flush] ?? 0
  const cut = random.between(durable, (flushes[flush + 1] ?? end + 1) - 1)
  const mode = MODES[random.between(0, MODES.length - 1)] ?? 'none'
  const likelihood = random.next()
  const keeps = mode === 'some' ? { seed: seed ^ (PIECES + number), likelihood } : mode
  return { number, durable, cut, keeps }
}

function chooseFlush(random: Random, last: number, share: number): number {
  if (random.next() < STOP_SHARE) return random.between(Math.max(0, last - STOP_FLUSHES), last)
  return Math.min(last, Math.floor(share * (last + 1)))
}
