/** GET /v1/events */

import type { FastifyRequest } from 'fastify'
import { negotiate } from '../../../protocol/negotiate.ts'
import { EventsQuery, SessionEvent } from '../../../protocol/schemas.ts'
import { streamEvents } from '../../stream-events.ts'
import type { ApiCore, App } from '../../types.ts'
import { Nothing, problems } from '../reply-schemas.ts'

const offered = ['application/x-ndjson', 'text/event-stream'] as const

const reply = {
  description: 'The events, the oldest first',
  content: {
    'application/x-ndjson': { schema: SessionEvent },
    'text/event-stream': { schema: { type: 'string' } },
  },
} as const

export function serveEvents(app: App, { events, config, log }: ApiCore): void {
  app.route({
    method: 'GET',
    url: '/v1/events',
    config: { alwaysServed: true },
    exposeHeadRoute: false,
    schema: {
      summary: 'Read what happens to the session',
      description:
        'Begins after `cursor`. Events that are no longer held, or are from before a restart of guestd, are a `gap`. A stream with `follow` ends after `stopped`. For `text/event-stream` the Last-Event-ID header takes precedence over `cursor`, and at the end the reply is 204, which stops an EventSource.',
      querystring: EventsQuery,
      response: { 200: reply, 204: Nothing, ...problems },
    },
    handler: async (request, reply) => {
      const mediaType = negotiate(request.headers.accept, offered)
      const lastEvent = mediaType === 'text/event-stream' ? lastEventId(request) : null
      if (lastEvent !== null && events.isOver(lastEvent)) return reply.code(204).send(null)
      const { cursor = null, follow = false } = request.query
      const reader = events.attach(lastEvent ?? cursor, follow)
      reply.hijack()
      streamEvents({
        response: reply.raw,
        reader,
        mediaType,
        keepaliveMs: config.keepaliveMs,
        onError: err => log.error({ err }, 'a stream of events failed'),
      })
      return reply
    },
  })
}

/** The last event that a reconnecting EventSource received. */
function lastEventId({ headers }: FastifyRequest): string | null {
  const text = headers['last-event-id']
  return typeof text !== 'string' || text === '' ? null : text
}
