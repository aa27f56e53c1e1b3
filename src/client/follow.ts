/** One stream of frames over as many connections as it takes, each byte delivered once. */

import type { IncomingMessage } from 'node:http'
import { createEventStreamDecoder } from '../protocol/event-stream.ts'
import type { Frame } from '../protocol/frames.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { ConnectError, fromConnection } from './connect-error.ts'
import type { Patience } from './patience.ts'
import { createPlace } from './place.ts'

/**
 * Silence after which a connection counts as dead, in milliseconds: guestd sends a keepalive after
 * 15 s of it, so three are missing.
 */
const SILENCE_LIMIT_MS = 45_000

/** Largest frame taken, in bytes: guestd's own stay far below it. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024

export interface FollowOptions {
  readonly at: string
  /** The cursor to begin after. */
  readonly cursor: number
  /** Whether a clean end of the reply without an `end` frame is a loss. */
  readonly follow: boolean
  readonly patience: Patience
  readonly signal: AbortSignal | undefined
  /** Opens a reply that begins after the cursor. */
  open(cursor: number): Promise<IncomingMessage>
}

/**
 * Reads from the connection only while the consumer asks for the next frame, and closes it when
 * the consumer stops early.
 */
export async function* followFrames(options: FollowOptions): AsyncGenerator<Frame, void, void> {
  const { patience, signal } = options
  const place = createPlace(options.cursor)
  for (;;) {
    try {
      const reply = await options.open(place.cursor)
      for await (const frame of readFrames(reply, options)) {
        const fresh = place.take(frame)
        if (frame.type !== 'start') patience.progress()
        if (fresh !== null) yield fresh
      }
      if (place.ended || !options.follow) return
      throw new ConnectError('lost', options.at, { detail: 'the stream stopped without an end' })
    } catch (error) {
      if (place.ended) return
      await patience.wait(error, signal)
      place.resume()
    }
  }
}

async function* readFrames(
  reply: IncomingMessage,
  { at, signal }: FollowOptions,
): AsyncGenerator<Frame, void, void> {
  const decoder = createEventStreamDecoder({ maxMessageBytes: MAX_FRAME_BYTES })
  let waiting = true
  const watch = setTimeout(() => {
    if (waiting) reply.destroy(new ConnectError('lost', at, { detail: 'it fell silent' }))
    else watch.refresh()
  }, SILENCE_LIMIT_MS)
  try {
    for await (const chunk of reply as AsyncIterable<Uint8Array>) {
      waiting = false
      yield* decoder.push(chunk)
      waiting = true
      watch.refresh()
    }
    decoder.end()
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof ProtocolError && error.kind !== 'truncated') throw error
    throw fromConnection(error, at)
  } finally {
    clearTimeout(watch)
  }
}
