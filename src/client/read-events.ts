/** The events of the session, over as many connections as it takes, each delivered once. */

import type { SessionEvent } from '../protocol/schemas.ts'
import type { EventsOptions } from './client.ts'
import { awakeChunks, silenceLimitOf } from './idle-timeout.ts'
import { linesOf } from './lines.ts'
import type { Patience } from './reconnect-policy.ts'
import type { Transport } from './transport.ts'

/** @throws ConnectError, GuestdError, or the reason of the signal */
export async function* followEvents(
  transport: Transport,
  patience: Patience,
  { cursor: first, follow = false, signal }: EventsOptions,
): AsyncGenerator<SessionEvent, void, void> {
  let cursor = first
  for (;;) {
    try {
      const query = new URLSearchParams({ follow: String(follow), ...(cursor && { cursor }) })
      const reply = await transport.send({
        method: 'GET',
        path: `/v1/events?${query}`,
        accept: 'application/x-ndjson',
        signal,
        timeoutMs: patience.attemptLimitMs(),
      })
      const silence = { at: transport.at, signal, limitMs: silenceLimitOf(reply) }
      for await (const line of linesOf(awakeChunks(reply, silence))) {
        const event: SessionEvent = JSON.parse(line)
        patience.progress()
        if (event.type === 'keepalive') continue
        cursor = event.cursor
        yield event
      }
      // One that follows ends like this only where all was told: a cut is an error.
      return
    } catch (error) {
      if (!follow) throw error
      await patience.wait(error, signal)
    }
  }
}
