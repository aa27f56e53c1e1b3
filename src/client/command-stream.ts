/** The frames of a command that this client runs or takes over: connects at once, and again after a loss. */

import type { IncomingMessage } from 'node:http'
import type { Frame } from '../protocol/frames.ts'
import { isLoss } from './connect-error.ts'
import { followFrames } from './follow-frames.ts'
import type { ReconnectPolicy } from './reconnect-policy.ts'

export interface CommandStreamOptions {
  /** The address, for errors. */
  readonly at: string
  /** The cursor at which the first connection begins, in bytes of output. */
  readonly cursor: number
  readonly signal: AbortSignal | undefined
  readonly reconnect: ReconnectPolicy
  /**
   * Sends the request for the frames after the cursor.
   *
   * @param isAccepted guestd has answered before, so the command exists
   */
  open(cursor: number, timeoutMs: number | undefined, isAccepted: boolean): Promise<IncomingMessage>
}

export interface CommandStream {
  /** Resolves when guestd has accepted the command, rejects when it has refused it. */
  readonly accepted: PromiseWithResolvers<void>
  /** To be iterated once. */
  readonly frames: AsyncIterable<Frame>
}

export function openCommandStream(options: CommandStreamOptions): CommandStream {
  const { at, cursor, signal, reconnect } = options
  const accepted = Promise.withResolvers<void>()
  let isAccepted = false

  const open = async (from: number): Promise<IncomingMessage> => {
    const reply = await options.open(from, reconnect.attemptTimeoutMs(), isAccepted)
    isAccepted = true
    accepted.resolve()
    return reply
  }

  let first: Promise<IncomingMessage> | null = open(cursor)
  // A lost connection is retried when the frames are read.
  first.catch(error => {
    if (!isLoss(error)) accepted.reject(error)
  })
  const frames = followFrames({
    at,
    cursor,
    follow: true,
    reconnect,
    signal,
    open: async from => {
      const reply = first ?? open(from)
      first = null
      return await reply
    },
  })
  return { accepted, frames }
}
