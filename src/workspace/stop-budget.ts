/** How long each part of the stop of a mounted volume may take. Pure. */

export type StopPart =
  | 'flush'
  | 'lastFlush'
  | 'clear'
  | 'flushAfterClear'
  | 'trim'
  | 'storedFd'
  | 'unmount'
  | 'shutdown'
  | 'verify'
  | 'mark'
  | 'detach'

export type StopParts = readonly (readonly [part: StopPart, ms: number])[]

/**
 * In the order of the stop, in milliseconds. A part may also use the time that the parts before it have left over, so
 * each has at least the time listed here, and all of them end within the sum.
 */
export function stopParts(flushLimitMs: number): StopParts {
  return [
    // A mount or a flush that is under way when the stop begins, and the flush itself.
    ['flush', flushLimitMs],
    // The flush itself, where the one under way has used up the time.
    ['lastFlush', LEAST_FLUSH_MS],
    ['clear', CLEAR_LIMIT_MS + LIST_LIMIT_MS],
    // What was unmounted has written to the volume.
    ['flushAfterClear', LEAST_FLUSH_MS],
    ['trim', TRIM_MS + TRIM_MARGIN_MS],
    ['storedFd', STORED_FD_LIMIT_MS],
    ['unmount', 10_000],
    // Where the volume stays busy: the search for who holds it, its inner devices, the shutdown.
    ['shutdown', 12_000],
    ['verify', 6_000],
    ['mark', 5_000],
    ['detach', 3_500],
  ]
}

/** A flush has at least this long, whatever came before it. */
export const LEAST_FLUSH_MS = 5_000
/** To take away mounts and devices that commands have left on the volume. What stays busy for longer is named. */
export const CLEAR_LIMIT_MS = 5_000
/** To list what is left after that. */
export const LIST_LIMIT_MS = 1_000
/** 1 GiB without anything to discard takes 1 ms, a deleted gigabyte up to a second. The rest follows at a later stop. */
export const TRIM_MS = 500
/** A discard that hangs is given up after this. */
export const TRIM_MARGIN_MS = 2_000
/** A service manager answers within milliseconds, unless it hangs. */
export const STORED_FD_LIMIT_MS = 5_000

export function totalMs(parts: StopParts): number {
  return parts.reduce((sum, [, ms]) => sum + ms, 0)
}

export interface StopBudget {
  /** When the part must be over, a `performance.now()` time. */
  deadline(part: StopPart): number
  /** Until the deadline of the part, in milliseconds: 0 or more, and `mostMs` at most. */
  leftMs(part: StopPart, mostMs?: number): number
}

/** The time runs from this call on. */
export function startBudget(
  parts: StopParts,
  now: () => number = () => performance.now(),
): StopBudget {
  const deadlines = new Map<StopPart, number>()
  let at = now()
  for (const [part, ms] of parts) {
    at += ms
    deadlines.set(part, at)
  }
  const deadline = (part: StopPart): number => {
    const found = deadlines.get(part)
    if (found === undefined) throw new Error(`the stop has no part ${part}`)
    return found
  }
  return {
    deadline,
    leftMs: (part, mostMs = Number.POSITIVE_INFINITY) =>
      Math.min(Math.max(Math.round(deadline(part) - now()), 0), mostMs),
  }
}
