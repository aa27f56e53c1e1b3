/** Answers a request with a command's frames, in the encoding that was negotiated. */

import type { FastifyReply } from 'fastify'
import type { Command, FrameReader } from '../commands/types.ts'
import type { MediaType } from '../protocol/negotiate.ts'
import type { ApiOptions } from './context.ts'
import { streamFrames } from './stream.ts'
import { summarize } from './summarize.ts'

export interface FrameReply {
  readonly reply: FastifyReply
  readonly command: Command
  readonly reader: FrameReader
  readonly mediaType: MediaType
}

export async function replyWithFrames(
  { reply, command, reader, mediaType }: FrameReply,
  { config, log }: Pick<ApiOptions, 'config' | 'log'>,
): Promise<FastifyReply> {
  const headers = { 'Guestd-Command-Id': command.id }
  if (mediaType === 'application/json') {
    const summary = await summarize(reply.raw, reader)
    if (summary === null) return reply.hijack()
    return reply.headers({ ...headers, 'Cache-Control': 'no-store' }).send(summary)
  }
  reply.hijack()
  streamFrames({
    response: reply.raw,
    reader,
    mediaType,
    headers,
    keepaliveMs: config.keepaliveMs,
    onError: error => log.error({ err: error, command: command.id }, 'a stream of frames failed'),
  })
  return reply
}
