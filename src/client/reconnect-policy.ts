/** Decides whether, and when, a lost connection is retried. */

import { setTimeout as sleep } from 'node:timers/promises'
import { GuestdError } from '../errors.ts'
import { ConnectError } from './connect-error.ts'

/** Waits between attempts, in milliseconds: none before the first, then doubling from FIRST to LONGEST. */
const FIRST_WAIT_MS = 25
const LONGEST_WAIT_MS = 1_000

/**
 * Limit for an address at which guestd has never answered, in milliseconds. A wrong socket closes each
 * connection without a message, and the user must learn of it before `limitMs` has passed.
 */
const UNPROVEN_LIMIT_MS = 2_000

/** Shortest time limit of an attempt, in milliseconds. */
const SHORTEST_ATTEMPT_MS = 250

export interface ReconnectPolicy {
  /** Call this when something new has arrived: the limit counts from the next loss again. */
  reset(): void
  /** Time limit of the next attempt, in milliseconds; `undefined` while no connection is lost. */
  attemptTimeoutMs(): number | undefined
  /**
   * Waits before the next attempt.
   *
   * @throws the error itself, if a retry cannot help or the limit has passed; the reason of the signal
   */
  waitBeforeRetry(error: unknown, signal: AbortSignal | undefined): Promise<void>
}

export interface ReconnectPolicyOptions {
  /** Longest time without a connection and without new data, in milliseconds; 0: no retry. */
  readonly limitMs: number
  /** Whether guestd has ever answered at this address. */
  readonly isProven: () => boolean
  /** Called before each wait, with the error. */
  readonly onLost: ((error: ConnectError | GuestdError) => void) | undefined
}

export function createReconnectPolicy(options: ReconnectPolicyOptions): ReconnectPolicy {
  const { isProven, onLost } = options
  let lostAt: number | null = null
  let attemptAt = 0
  let waitMs = 0

  /** How long there has been no connection. The time of a connection that was open but idle does not count. */
  const lostForMs = (now: number, error: ConnectError | GuestdError): number => {
    lostAt ??= now
    if (error.code === 'lost' && attemptAt > lostAt) lostAt += now - attemptAt
    return now - lostAt
  }

  const limitMs = () =>
    isProven() ? options.limitMs : Math.min(options.limitMs, UNPROVEN_LIMIT_MS)

  return {
    reset: () => {
      lostAt = null
      waitMs = 0
    },
    attemptTimeoutMs: () => {
      if (lostAt === null) return undefined
      return Math.max(limitMs() - (performance.now() - lostAt), SHORTEST_ATTEMPT_MS)
    },
    waitBeforeRetry: async (error, signal) => {
      signal?.throwIfAborted()
      if (!isWorthRetry(error, lostAt !== null)) throw error
      const limit = limitMs()
      if (limit === 0 || lostForMs(performance.now(), error) + waitMs > limit) throw error
      onLost?.(error)
      const until = performance.now() + waitMs
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => {})
      signal?.throwIfAborted()
      // A much longer sleep means that this process was stopped. That time does not count.
      const lateMs = performance.now() - until
      if (lostAt !== null && lateMs > LONGEST_WAIT_MS) lostAt += lateMs
      waitMs = Math.min(Math.max(waitMs * 2, FIRST_WAIT_MS), LONGEST_WAIT_MS)
      attemptAt = performance.now()
    },
  }
}

/** The first failure is retried only if a connection was open before it. */
function isWorthRetry(error: unknown, lostBefore: boolean): error is ConnectError | GuestdError {
  if (error instanceof ConnectError) {
    return lostBefore ? error.retryable : error.code === 'lost'
  }
  return lostBefore && error instanceof GuestdError && error.code === 'starting'
}
