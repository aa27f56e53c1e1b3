/** GET /v1/session/top */

import { TopQuery, WorkspaceTop } from '../../../protocol/schemas.ts'
import type { ApiOptions, App } from '../../context.ts'
import { problems } from '../reply-schemas.ts'

const DEFAULT_COUNT = 10

export function serveTop(app: App, { control }: Pick<ApiOptions, 'control'>): void {
  app.route({
    method: 'GET',
    url: '/v1/session/top',
    schema: {
      summary: 'Tell who takes the space of the workspace',
      description: 'Walks the workspace, for 10 s at most.',
      querystring: TopQuery,
      response: { 200: WorkspaceTop, ...problems },
    },
    handler: async (request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return await control.top(request.query.count ?? DEFAULT_COUNT)
    },
  })
}
