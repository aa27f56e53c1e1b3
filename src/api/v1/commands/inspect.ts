/** GET /v1/commands/:id */

import { CommandInfo, CommandParams } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

export function serveInspect(app: App, { commands }: Pick<ApiCore, 'commands'>): void {
  app.route({
    method: 'GET',
    url: '/v1/commands/:id',
    schema: {
      summary: 'Inspect a command',
      params: CommandParams,
      querystring: NoQuery,
      response: { 200: CommandInfo, ...problems },
    },
    handler: async (request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return commands.get(request.params.id).info()
    },
  })
}
