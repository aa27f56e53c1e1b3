/** GET /v1/commands */

import { CommandList, ListQuery } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { problems } from '../reply-schemas.ts'

export function serveList(app: App, { commands }: Pick<ApiCore, 'commands'>): void {
  app.route({
    method: 'GET',
    url: '/v1/commands',
    schema: {
      summary: 'List commands',
      querystring: ListQuery,
      response: { 200: CommandList, ...problems },
    },
    handler: async (request, reply) => {
      const { state } = request.query
      const chosen = commands.list().filter(one => state === undefined || one.state === state)
      reply.header('Cache-Control', 'no-store')
      return { commands: chosen.map(one => one.info()) }
    },
  })
}
