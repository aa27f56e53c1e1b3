/** Tells a reply that fell silent from one that has nothing to say. */

import type { IncomingMessage } from 'node:http'
import { ConnectError, fromConnection } from './connect-error.ts'
import { createIdleTimer } from './idle-timer.ts'

/** The header of a stream with guestd's setting `keepaliveMs`. */
const KEEPALIVE_HEADER = 'guestd-keepalive-ms'

/** The setting's default: what counts for a guestd that does not send the header. */
const DEFAULT_KEEPALIVE_MS = 15_000

/** The setting's maximum. */
const MAX_KEEPALIVE_MS = 600_000

/** So many keepalives in a row have to be missing. */
const MISSING_KEEPALIVES = 3

/** A loaded machine may be silent for this long, however often it promises a keepalive. */
const SHORTEST_LIMIT_MS = 5_000

export interface SilenceOptions {
  readonly at: string
  readonly signal: AbortSignal | undefined
  /** Silence after which the connection counts as lost, in milliseconds; 0: never. */
  readonly limitMs: number
  /** Asked after so much silence: where it resolves with true, the reply has as much time again. */
  readonly isAlive?: () => Promise<boolean>
}

/** Silence after which a stream counts as lost, by the keepalive interval that guestd names, in milliseconds. */
export function silenceLimitOf(reply: IncomingMessage): number {
  const named = Number(reply.headers[KEEPALIVE_HEADER])
  const isValid = Number.isInteger(named) && named > 0 && named <= MAX_KEEPALIVE_MS
  const keepaliveMs = isValid ? named : DEFAULT_KEEPALIVE_MS
  return Math.max(MISSING_KEEPALIVES * keepaliveMs, SHORTEST_LIMIT_MS)
}

/**
 * The bytes of a reply. Time that the consumer takes is no silence.
 *
 * @throws ConnectError, or the reason of the signal
 */
export async function* awakeChunks(
  reply: IncomingMessage,
  { at, signal, limitMs, isAlive }: SilenceOptions,
): AsyncGenerator<Uint8Array> {
  let waiting = true
  let chunks = 0
  const onIdle = async (): Promise<void> => {
    const before = chunks
    const isLost = waiting && (await isAlive?.()) !== true && chunks === before
    if (isLost) reply.destroy(new ConnectError('lost', at, { detail: `silent for ${limitMs} ms` }))
    else timer.refresh()
  }
  const timer = createIdleTimer(limitMs, () => void onIdle())
  try {
    for await (const chunk of reply as AsyncIterable<Uint8Array>) {
      waiting = false
      chunks += 1
      yield chunk
      waiting = true
      timer.refresh()
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw fromConnection(error, at)
  } finally {
    timer.stop()
  }
}
