/** Tells a reply that fell silent from one that has nothing to say. */

import type { IncomingMessage } from 'node:http'
import { ConnectError, fromConnection } from './connect-error.ts'

/**
 * Silence after which a connection counts as dead, in milliseconds: guestd sends a keepalive after
 * 15 s of it, so three are missing.
 */
const SILENCE_LIMIT_MS = 45_000

/**
 * The bytes of a reply; time that the consumer takes is no silence.
 *
 * @throws ConnectError, or the reason of the signal
 */
export async function* awakeChunks(
  reply: IncomingMessage,
  at: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  let waiting = true
  const watch = setTimeout(() => {
    if (waiting) reply.destroy(new ConnectError('lost', at, { detail: 'it fell silent' }))
    else watch.refresh()
  }, SILENCE_LIMIT_MS)
  try {
    for await (const chunk of reply as AsyncIterable<Uint8Array>) {
      waiting = false
      yield chunk
      waiting = true
      watch.refresh()
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw fromConnection(error, at)
  } finally {
    clearTimeout(watch)
  }
}
