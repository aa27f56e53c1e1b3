/** Streams events into a response, as fast as the client reads. */

import type { ServerResponse } from 'node:http'
import type { EventReader } from '../events/event-log.ts'
import type { SessionEvent } from '../protocol/schemas.ts'
import { beginStream } from './begin-stream.ts'
import { createKeepalive } from './keepalive.ts'

export interface EventStreamOptions {
  readonly response: ServerResponse
  readonly reader: EventReader
  readonly mediaType: 'application/x-ndjson' | 'text/event-stream'
  /** Longest silence before a keepalive, in milliseconds. */
  readonly keepaliveMs: number
  /** Called when guestd fails. The stream is then cut. */
  readonly onError: (error: unknown) => void
}

/** Runs until the reader is done or the client disconnects, then closes the reader. */
export function streamEvents(options: EventStreamOptions): void {
  const { response, reader, mediaType, keepaliveMs, onError } = options
  const encode = mediaType === 'text/event-stream' ? serverSentEvent : line
  const send = (event: SessionEvent) => response.write(encode(event))

  const keepalive = createKeepalive(response, keepaliveMs, () =>
    send({ type: 'keepalive', cursor: reader.cursor, at: new Date().toISOString() }),
  )
  const pump = () => {
    if (response.destroyed || response.writableEnded) return
    try {
      while (!response.writableNeedDrain) {
        const event = reader.read()
        if (event === null) break
        keepalive.refresh()
        send(event)
      }
      if (reader.done) response.end()
    } catch (error) {
      onError(error)
      response.destroy()
    }
  }
  const close = () => {
    keepalive.stop()
    reader.close()
  }

  if (!beginStream(response, { mediaType, keepaliveMs }, close)) return
  response.flushHeaders()
  reader.onReadable = pump
  response.on('drain', pump)
  pump()
}

function line(event: SessionEvent): string {
  return `${JSON.stringify(event)}\n`
}

/** A keepalive has no id, because it does not move the cursor. */
function serverSentEvent(event: SessionEvent): string {
  const id = event.type === 'keepalive' ? '' : `id: ${event.cursor}\n`
  return `event: ${event.type}\n${id}data: ${JSON.stringify(event)}\n\n`
}
