/** Replies to a request with the frames of a command, in the negotiated encoding. */

import type { FastifyReply } from 'fastify'
import type { Command, FrameReader } from '../commands/types.ts'
import { GuestdError } from '../errors.ts'
import type { MediaType } from '../protocol/negotiate.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { streamFrames } from './stream-frames.ts'
import { sendSummary } from './summarize.ts'
import type { ApiCore } from './types.ts'

export interface ReplyOptions extends Pick<ApiCore, 'config' | 'log'> {
  /** Memory that all replies of `application/json` share. */
  readonly summaries: MemoryBudget
}

export interface FrameReply {
  readonly reply: FastifyReply
  readonly command: Command
  readonly reader: FrameReader
  readonly mediaType: MediaType
  /** Bytes kept of each stream, for `application/json` only; undefined: 1 MiB. */
  readonly outputLimitBytes: number | undefined
}

export async function replyWithFrames(
  { reply, command, reader, mediaType, outputLimitBytes }: FrameReply,
  { config, log, summaries }: ReplyOptions,
): Promise<FastifyReply> {
  const shared = {
    response: reply.raw,
    reader,
    headers: { 'Guestd-Command-Id': command.id },
    keepaliveMs: config.keepaliveMs,
    onError: (error: unknown) =>
      log.error({ err: error, command: command.id }, 'a stream of frames failed'),
  }
  reply.hijack()
  if (mediaType === 'application/json')
    sendSummary({ ...shared, limitBytes: outputLimitBytes, share: summaries.open() })
  else streamFrames({ ...shared, mediaType })
  return reply
}

/**
 * Refuses a limit that would have no effect.
 *
 * @throws GuestdError `invalid_request`
 */
export function checkOutputLimit(limit: number | undefined, mediaType: MediaType | null): void {
  if (limit === undefined || mediaType === 'application/json') return
  const detail = 'outputLimitBytes needs a reply in application/json: send Accept: application/json'
  throw new GuestdError('invalid_request', detail, { field: 'outputLimitBytes' })
}
