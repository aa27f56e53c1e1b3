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
    // A HEAD reply would need the length of a stream that still grows.
    exposeHeadRoute: false,
    schema: {
      summary: 'Read the output of a command from a cursor on',
      description:
        'For `text/event-stream` the Last-Event-ID header takes precedence over `cursor`. After the `end` event the reply is 204, which stops an EventSource.',
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
        // A reader that takes over the role of the starter has to follow.
        follow: follow || hold,
        hold,
      })
      return replyWithFrames({ reply, command, reader, mediaType, outputLimitBytes }, options)
    },
  })
}

/** The last event that a reconnecting EventSource received; `null` for any other request. */
function lastEventId({ headers }: FastifyRequest, mediaType: MediaType): EventPlace | null {
  const text = headers['last-event-id']
  if (mediaType !== 'text/event-stream' || typeof text !== 'string' || text === '') return null
  return parseEventId(text)
}

/**
 * Whether the client has everything up to `end`, and no late output follows: none can come, or the client does not
 * wait for it. The log of a lost command ends at 0, so a larger cursor is at its end too.
 */
function isAtEnd(command: Command, cursor: number, follow: boolean): boolean {
  return (command.isComplete || !follow) && cursor >= command.info().cursor
}
