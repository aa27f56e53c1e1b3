/** GET /v1/commands and GET /v1/commands/:id */

import { CommandInfo, CommandList, CommandParams, ListQuery } from '../../../protocol/schemas.ts'
import type { ApiOptions, App } from '../../context.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

export function serveCommandQueries(app: App, { commands }: ApiOptions): void {
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
