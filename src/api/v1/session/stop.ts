/** POST /v1/session/stop */

import { pipeline } from 'node:stream'
import { StopFrame } from '../../../protocol/schemas.ts'
import { NO_PROXY_BUFFER } from '../../keepalive.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

const stopReply = {
  description: 'Each step of the stop as it begins and ends, then the receipt',
  content: {
    'application/x-ndjson': { schema: StopFrame },
  },
} as const

export function serveStop(app: App, { control }: Pick<ApiCore, 'control'>): void {
  app.route({
    method: 'POST',
    url: '/v1/session/stop',
    config: { alwaysServed: true },
    schema: {
      summary: 'Stop the session',
      description:
        'Ends the commands, makes the workspace durable and unmounts it. There is one stop, however many callers ask: each gets all of its steps. guestd stays up, as `stopped`.',
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
      // The stop continues after the client disconnects.
      pipeline(lines(), reply.raw, () => {})
      return reply
    },
  })
}
