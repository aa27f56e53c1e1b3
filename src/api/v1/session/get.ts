/** GET /v1/session */

import { SessionInfo } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

export function serveGetSession(app: App, { session }: Pick<ApiCore, 'session'>): void {
  app.route({
    method: 'GET',
    url: '/v1/session',
    config: { alwaysServed: true },
    schema: {
      summary: 'Inspect the session',
      querystring: NoQuery,
      response: { 200: SessionInfo, ...problems },
    },
    handler: async (_request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return session()
    },
  })
}
