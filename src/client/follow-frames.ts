/** One stream of frames over several connections: reconnects after a loss and delivers each byte once. */

import type { IncomingMessage } from 'node:http'
import { createEventStreamDecoder } from '../protocol/event-stream-decode.ts'
import type { Frame } from '../protocol/frames.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { ConnectError, fromConnection } from './connect-error.ts'
import { createFrameResumer } from './frame-resumer.ts'
import { streamIdleTimeoutMs, withIdleTimeout } from './idle-timeout.ts'
import type { ReconnectPolicy } from './reconnect-policy.ts'

/** Largest frame, in bytes. Those of guestd are far smaller. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024

export interface FollowOptions {
  readonly at: string
  /** Where to begin, in bytes of output. */
  readonly cursor: number
  /** If true, a reply that ends without an `end` frame counts as a lost connection. */
  readonly follow: boolean
  readonly reconnect: ReconnectPolicy
  readonly signal: AbortSignal | undefined
  /** Sends the request for the frames after the cursor. */
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
