/** POST /v1/session/flush */

import { Receipt } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

export function serveFlush(app: App, { control }: Pick<ApiCore, 'control'>): void {
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
}
