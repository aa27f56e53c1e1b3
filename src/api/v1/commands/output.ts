/** GET /v1/commands/:id/output */

import type { FastifyRequest } from 'fastify'
import type { Command } from '../../../commands/types.ts'
import { type EventPlace, parseEventId } from '../../../protocol/event-id.ts'
import { type MediaType, negotiate } from '../../../protocol/negotiate.ts'
import { CommandParams, OutputQuery } from '../../../protocol/schemas.ts'
import { checkOutputLimit, type ReplyOptions, replyWithFrames } from '../../reply-frames.ts'
import type { ApiCore, App } from '../../types.ts'
import { framesReply, Nothing, problems } from '../reply-schemas.ts'

export function serveOutput(app: App, options: ApiCore & ReplyOptions): void {
  app.route({
    method: 'GET',
    url: '/v1/commands/:id/output',
    // The length of a stream that is still growing cannot be told in advance.
    exposeHeadRoute: false,
    schema: {
      summary: 'Read the output of a command from a cursor on',
      description:
        'For `text/event-stream` the Last-Event-ID header goes over `cursor`, and after the `end` event the answer is 204, which stops an EventSource.',
      params: CommandParams,
      querystring: OutputQuery,
      response: { 200: framesReply, 204: Nothing, ...problems },
    },
    handler: async (request, reply) => {
      const mediaType = negotiate(request.headers.accept)
      const command = options.commands.get(request.params.id)
      const { cursor = 0, follow = false, hold = false, outputLimitBytes } = request.query
      checkOutputLimit(outputLimitBytes, mediaType)
      const lastEvent = lastEventId(request, mediaType)
      if (lastEvent?.seen === 'end' && isAtEnd(command, lastEvent.cursor, follow || hold)) {
        return reply.code(204).send(null)
      }
      const reader = command.attach({
        ...(lastEvent ?? { cursor }),
        // Who takes the starter's role over stays for it.
        follow: follow || hold,
        hold,
      })
      return replyWithFrames({ reply, command, reader, mediaType, outputLimitBytes }, options)
    },
  })
}

/** Where an EventSource was when it lost its connection; `null` for any other request. */
function lastEventId({ headers }: FastifyRequest, mediaType: MediaType): EventPlace | null {
  const text = headers['last-event-id']
  if (mediaType !== 'text/event-stream' || typeof text !== 'string' || text === '') return null
  return parseEventId(text)
}

/**
 * Whether there is nothing after `end`: no late output came since, and none can come or is waited for.
 * The log of a lost command ends at 0, whatever the client had of it.
 */
function isAtEnd(command: Command, cursor: number, follow: boolean): boolean {
  return (command.isComplete || !follow) && cursor >= command.info().cursor
}
