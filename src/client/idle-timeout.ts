/** Idle timeouts. Time in which this process was stopped, as by Ctrl-Z, does not count as idle. */

import type { IncomingMessage } from 'node:http'
import { ConnectError, fromConnection } from './connect-error.ts'

/** The header of a stream with guestd's setting `keepaliveMs`. */
const KEEPALIVE_HEADER = 'guestd-keepalive-ms'

/** Default of the setting, in milliseconds. Used if guestd does not send the header. */
const DEFAULT_KEEPALIVE_MS = 15_000

/** Maximum of the setting, in milliseconds. */
const MAX_KEEPALIVE_MS = 600_000

/** A stream is lost after this number of missing keepalives. */
const MISSING_KEEPALIVES = 3

/** Shortest idle timeout of a stream, in milliseconds: a loaded machine sends its keepalives late. */
const SHORTEST_LIMIT_MS = 5_000

/** The timer wakes this often within its limit. A wake-up that is a whole part late means that the process was stopped. */
const PARTS = 10

export interface IdleTimeoutOptions {
  /** The address, for errors. */
  readonly at: string
  readonly signal: AbortSignal | undefined
  /** Longest time without a byte, in milliseconds; 0: no limit. */
  readonly limitMs: number
  /** Called when the limit has passed. If it resolves with true, the limit starts again. */
  readonly isAlive?: () => Promise<boolean>
}

/**
 * Yields the bytes of a reply, and fails if none arrive for `limitMs`. The time that the consumer takes
 * does not count.
 *
 * @throws ConnectError `lost`, or the reason of the signal
 */
export async function* withIdleTimeout(
  reply: IncomingMessage,
  { at, signal, limitMs, isAlive }: IdleTimeoutOptions,
): AsyncGenerator<Uint8Array> {
  let isWaiting = true
  let chunks = 0
  const onIdle = async (): Promise<void> => {
    const before = chunks
    const isLost = isWaiting && (await isAlive?.()) !== true && chunks === before
    if (isLost) reply.destroy(new ConnectError('lost', at, { detail: `silent for ${limitMs} ms` }))
    else timer.refresh()
  }
  const timer = createIdleTimer(limitMs, () => void onIdle())
  try {
    for await (const chunk of reply as AsyncIterable<Uint8Array>) {
      isWaiting = false
      chunks += 1
      yield chunk
      isWaiting = true
      timer.refresh()
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw fromConnection(error, at)
  } finally {
    timer.stop()
  }
}

/** The idle timeout of a stream, from the keepalive interval in its header, in milliseconds. */
export function streamIdleTimeoutMs(reply: IncomingMessage): number {
  const named = Number(reply.headers[KEEPALIVE_HEADER])
  const isValid = Number.isInteger(named) && named > 0 && named <= MAX_KEEPALIVE_MS
  const keepaliveMs = isValid ? named : DEFAULT_KEEPALIVE_MS
  return Math.max(MISSING_KEEPALIVES * keepaliveMs, SHORTEST_LIMIT_MS)
}

export interface IdleTimer {
  /** Starts the limit again, also after the timer has fired. */
  refresh(): void
  stop(): void
}

/**
 * @param limitMs in milliseconds; 0: it never fires
 * @param onIdle called once when the limit has passed. A process that continues after a stop has a tenth of
 * the limit to read what its sockets hold.
 */
export function createIdleTimer(limitMs: number, onIdle: () => void): IdleTimer {
  if (limitMs === 0) return { refresh: () => {}, stop: () => {} }
  const partMs = limitMs / PARTS
  let parts = 0
  let wasLate = false
  let isStopped = false
  let wokeAt = performance.now()

  // The socket keeps the process alive. The timer of a stream that is not being read does not.
  const timer = setTimeout(() => {
    const now = performance.now()
    const isLate = now - wokeAt > 2 * partMs
    wokeAt = now
    // Every second late part counts, so that a busy event loop reaches the limit too, at half the speed.
    if (isLate && !wasLate) {
      wasLate = true
    } else {
      wasLate = false
      parts += 1
    }
    if (parts >= PARTS) onIdle()
    else timer.refresh()
  }, partMs).unref()

  return {
    refresh: () => {
      // Node restarts a timer that was cleared.
      if (isStopped) return
      parts = 0
      wokeAt = performance.now()
      timer.refresh()
    },
    stop: () => {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
