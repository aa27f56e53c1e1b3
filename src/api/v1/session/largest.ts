/** GET /v1/session/largest */

import { LargestQuery, WorkspaceLargest } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { problems } from '../reply-schemas.ts'

const DEFAULT_COUNT = 10

export function serveLargest(app: App, { control }: Pick<ApiCore, 'control'>): void {
  app.route({
    method: 'GET',
    url: '/v1/session/largest',
    schema: {
      summary: 'List what takes the space of the workspace',
      description: 'Walks the workspace, for 10 s at most.',
      querystring: LargestQuery,
      response: { 200: WorkspaceLargest, ...problems },
    },
    handler: async (request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return await control.largest(request.query.count ?? DEFAULT_COUNT)
    },
  })
}
