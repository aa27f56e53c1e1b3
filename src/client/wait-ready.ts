/** Waits until guestd is ready. */

import { setTimeout as sleep } from 'node:timers/promises'
import { GuestdError } from '../errors.ts'
import type { SessionInfo } from '../protocol/schemas.ts'
import { ConnectError } from './connect-error.ts'
import type { Health, ReadyOptions } from './types.ts'

/** Waits between attempts, in milliseconds: doubling from FIRST to LONGEST. */
const FIRST_WAIT_MS = 25
const LONGEST_WAIT_MS = 1_000

/** Default time limit, in milliseconds: enough for a machine that checks a large volume at its start. */
const TIMEOUT_MS = 60_000

/** Limits of one attempt, in milliseconds. A booting machine can lose a handshake, so an attempt must not use all the time. */
const ATTEMPT_LIMIT_MS = 5_000
const SHORTEST_ATTEMPT_MS = 2_000

export interface ReadinessCalls {
  readonly at: string
  health(timeoutMs: number, signal: AbortSignal | undefined): Promise<Health>
  session(timeoutMs: number, signal: AbortSignal | undefined): Promise<SessionInfo>
}

/** @throws ConnectError, GuestdError, or the reason of the signal */
export async function waitUntilReady(
  calls: ReadinessCalls,
  { timeoutMs = TIMEOUT_MS, until = 'ready', signal }: ReadyOptions,
): Promise<Health> {
  const deadline = performance.now() + timeoutMs
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    signal?.throwIfAborted()
    const left = Math.max(deadline - performance.now(), SHORTEST_ATTEMPT_MS)
    const attemptMs = Math.min(left, ATTEMPT_LIMIT_MS)
    const outcome = await attempt(calls, until, attemptMs, signal)
    if (!(outcome instanceof Error)) return outcome
    if (performance.now() + waitMs > deadline) throw outcome
    await sleep(waitMs, undefined, { signal }).catch(() => {})
  }
}

/** Returns the health, or an error that may pass. @throws any other error */
async function attempt(
  { at, health, session }: ReadinessCalls,
  until: NonNullable<ReadyOptions['until']>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Health | ConnectError> {
  try {
    const found = await health(timeoutMs, signal)
    if (found.ready || until === 'answers') return found
    const detail = found.reasons.map(({ message }) => message).join('; ')
    const { state } = await session(timeoutMs, signal)
    if (state === 'stopping' || state === 'stopped' || state === 'misconfigured')
      throw new GuestdError(state, detail)
    return new ConnectError('not_ready', at, { detail })
  } catch (error) {
    if (error instanceof ConnectError && error.retryable) return error
    throw error
  }
}
