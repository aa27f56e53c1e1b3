/** How long, and how often, a lost connection is tried again. */

import { setTimeout as sleep } from 'node:timers/promises'
import { GuestdError } from '../errors.ts'
import { ConnectError } from './connect-error.ts'

/** Waits between attempts: at once, then from the first of these, doubling up to the second. */
const FIRST_WAIT_MS = 25
const LONGEST_WAIT_MS = 1_000

/**
 * How long an address is tried that never answered as guestd. A wrong socket closes connections
 * without a word, and its user shall not wait for the whole limit.
 */
const UNPROVEN_LIMIT_MS = 2_000

/** The last attempt has at least so much time. */
const SHORTEST_ATTEMPT_MS = 250

export interface Patience {
  /** Something new arrived: the count starts again. */
  progress(): void
  /** How long the next attempt may take, in milliseconds; `undefined` while nothing was lost. */
  attemptLimitMs(): number | undefined
  /**
   * Waits before the next attempt.
   *
   * @throws the error itself, where another attempt cannot help or the limit has passed
   */
  wait(error: unknown, signal: AbortSignal | undefined): Promise<void>
}

export interface PatienceOptions {
  /** Longest time without a connection and anything new over it, in milliseconds; 0: never. */
  readonly limitMs: number
  /** Whether guestd has ever answered at this address. */
  readonly isProven: () => boolean
  readonly onLost: ((error: ConnectError | GuestdError) => void) | undefined
}

export function createPatience({ limitMs, isProven, onLost }: PatienceOptions): Patience {
  let lostAt: number | null = null
  let attemptAt = 0
  let waitMs = 0

  /** How long there has been no connection. One that stood, however silent, does not count. */
  const lostForMs = (now: number, error: ConnectError | GuestdError): number => {
    lostAt ??= now
    if (error.code === 'lost' && attemptAt > lostAt) lostAt += now - attemptAt
    return now - lostAt
  }

  const limitNow = () => (isProven() ? limitMs : Math.min(limitMs, UNPROVEN_LIMIT_MS))

  return {
    progress: () => {
      lostAt = null
      waitMs = 0
    },
    attemptLimitMs: () => {
      if (lostAt === null) return undefined
      return Math.max(limitNow() - (performance.now() - lostAt), SHORTEST_ATTEMPT_MS)
    },
    wait: async (error, signal) => {
      signal?.throwIfAborted()
      if (!isWorthAnother(error, lostAt !== null)) throw error
      const limit = limitNow()
      if (limit === 0 || lostForMs(performance.now(), error) + waitMs > limit) throw error
      onLost?.(error)
      const until = performance.now() + waitMs
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => {})
      signal?.throwIfAborted()
      // This process was stopped meanwhile: that time was not spent on attempts.
      const late = performance.now() - until
      if (lostAt !== null && late > LONGEST_WAIT_MS) lostAt += late
      waitMs = Math.min(Math.max(waitMs * 2, FIRST_WAIT_MS), LONGEST_WAIT_MS)
      attemptAt = performance.now()
    },
  }
}

/** The first failure is worth another attempt only if a connection stood. */
function isWorthAnother(error: unknown, lostBefore: boolean): error is ConnectError | GuestdError {
  if (error instanceof ConnectError) {
    return lostBefore ? error.retryable : error.code === 'lost'
  }
  return lostBefore && error instanceof GuestdError && error.code === 'starting'
}
