/** POST /v1/session/flush, POST /v1/session/stop and POST /v1/session/start */

import { pipeline } from 'node:stream'
import { Receipt, SessionStart, StopFrame } from '../../../protocol/schemas.ts'
import type { ApiOptions, App } from '../../context.ts'
import { NO_PROXY_BUFFER } from '../../keepalive.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

const stopReply = {
  description: 'The steps as they go, and then the receipt',
  content: {
    'application/x-ndjson': { schema: StopFrame },
  },
} as const

export function serveSessionEnd(app: App, { control }: ApiOptions): void {
  app.route({
    method: 'POST',
    url: '/v1/session/flush',
    schema: {
      summary: 'Make durable all that was written to the workspace',
      querystring: NoQuery,
      response: { 200: Receipt, ...problems },
    },
    handler: async (_request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return await control.flush()
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/session/stop',
    schema: {
      summary: 'Stop the session',
      description:
        'Ends the commands, makes the workspace durable and unmounts it. It is one stop, however often it is asked for: each caller gets all of its steps. guestd stays, as `stopped`.',
      querystring: NoQuery,
      response: { 200: stopReply, ...problems },
    },
    handler: async (_request, reply) => {
      const frames = control.stop()
      const lines = async function* () {
        for await (const frame of frames) yield `${JSON.stringify(frame)}\n`
      }
      reply.hijack()
      reply.raw.writeHead(200, {
        'Content-Type': 'application/x-ndjson',
        'Cache-Control': 'no-store',
        ...NO_PROXY_BUFFER,
      })
      // The stop goes on when nobody follows it any more.
      pipeline(lines(), reply.raw, () => {})
      return reply
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/session/start',
    schema: {
      summary: 'Start a stopped session again',
      description:
        'A stop counts until the next boot of the machine, or until this call. guestd then ends itself, and its service manager starts it again, with the workspace. Nothing happens where the session is not stopped.',
      querystring: NoQuery,
      response: { 200: SessionStart, ...problems },
    },
    handler: async (_request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return { restarting: control.start() }
    },
  })
}
