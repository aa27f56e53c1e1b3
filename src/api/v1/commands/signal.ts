/** POST /v1/commands/:id/signal and DELETE /v1/commands/:id */

import { CommandParams, KillReply, SignalRequest } from '../../../protocol/schemas.ts'
import type { ApiOptions, App } from '../../context.ts'
import { NoQuery, Nothing, problems } from '../reply-schemas.ts'

export function serveSignals(app: App, { commands }: ApiOptions): void {
  app.route({
    method: 'POST',
    url: '/v1/commands/:id/signal',
    schema: {
      summary: 'Send a signal to a command',
      params: CommandParams,
      querystring: NoQuery,
      body: SignalRequest,
      response: { 204: Nothing, ...problems },
    },
    handler: async (request, reply) => {
      const { signal, target = 'group' } = request.body
      commands.get(request.params.id).signal(signal, target)
      return reply.code(204).send(null)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/commands/:id',
    schema: {
      summary: 'Kill a command and all its descendants',
      description: 'Answers once none of them is left.',
      params: CommandParams,
      querystring: NoQuery,
      response: { 200: KillReply, ...problems },
    },
    handler: request => commands.get(request.params.id).kill(),
  })
}
