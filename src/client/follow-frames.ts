/** One stream of frames over as many connections as it takes, each byte delivered once. */

import type { IncomingMessage } from 'node:http'
import { createEventStreamDecoder } from '../protocol/event-stream-decode.ts'
import type { Frame } from '../protocol/frames.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { ConnectError, fromConnection } from './connect-error.ts'
import { createFrameResumer } from './frame-resumer.ts'
import { streamIdleTimeoutMs, withIdleTimeout } from './idle-timeout.ts'
import type { ReconnectPolicy } from './reconnect-policy.ts'

/** Largest frame taken, in bytes: guestd's own stay far below it. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024

export interface FollowOptions {
  readonly at: string
  /** The cursor to begin after. */
  readonly cursor: number
  /** Whether a clean end of the reply without an `end` frame is a loss. */
  readonly follow: boolean
  readonly reconnect: ReconnectPolicy
  readonly signal: AbortSignal | undefined
  /** Opens a reply that begins after the cursor. */
  open(cursor: number): Promise<IncomingMessage>
}

/**
 * Reads from the connection only while the consumer asks for the next frame, and closes it when
 * the consumer stops early.
 */
export async function* followFrames(options: FollowOptions): AsyncGenerator<Frame, void, void> {
  const { reconnect, signal } = options
  const resumer = createFrameResumer(options.cursor)
  for (;;) {
    try {
      const reply = await options.open(resumer.cursor)
      for await (const frame of readFrames(reply, options)) {
        const fresh = resumer.accept(frame)
        if (frame.type !== 'start') reconnect.reset()
        if (fresh !== null) yield fresh
      }
      if (resumer.ended || !options.follow) return
      throw new ConnectError('lost', options.at, { detail: 'the stream stopped without an end' })
    } catch (error) {
      if (resumer.ended) return
      await reconnect.waitBeforeRetry(error, signal)
      resumer.reconnected()
    }
  }
}

async function* readFrames(
  reply: IncomingMessage,
  { at, signal }: FollowOptions,
): AsyncGenerator<Frame, void, void> {
  const decoder = createEventStreamDecoder({ maxMessageBytes: MAX_FRAME_BYTES })
  try {
    const timeout = { at, signal, limitMs: streamIdleTimeoutMs(reply) }
    for await (const chunk of withIdleTimeout(reply, timeout)) yield* decoder.push(chunk)
    decoder.end()
  } catch (error) {
    if (error instanceof ProtocolError && error.kind !== 'truncated') throw error
    signal?.throwIfAborted()
    throw fromConnection(error, at)
  }
}
