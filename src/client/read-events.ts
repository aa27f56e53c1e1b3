/** The events of the session: reconnects after a loss and delivers each event once. */

import type { SessionEvent } from '../protocol/schemas.ts'
import { streamIdleTimeoutMs, withIdleTimeout } from './idle-timeout.ts'
import { linesOf } from './lines.ts'
import type { ReconnectPolicy } from './reconnect-policy.ts'
import type { Transport } from './transport.ts'
import type { EventsOptions } from './types.ts'

/** @throws ConnectError, GuestdError, or the reason of the signal */
export async function* followEvents(
  transport: Transport,
  reconnect: ReconnectPolicy,
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
        timeoutMs: reconnect.attemptTimeoutMs(),
      })
      const timeout = { at: transport.at, signal, limitMs: streamIdleTimeoutMs(reply) }
      for await (const line of linesOf(withIdleTimeout(reply, timeout))) {
        const event: SessionEvent = JSON.parse(line)
        reconnect.reset()
        if (event.type === 'keepalive') continue
        cursor = event.cursor
        yield event
      }
      // A reply that follows ends only after the last event. A lost connection throws.
      return
    } catch (error) {
      if (!follow) throw error
      await reconnect.waitBeforeRetry(error, signal)
    }
  }
}
