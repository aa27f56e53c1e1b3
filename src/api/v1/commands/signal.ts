/** POST /v1/commands/:id/signal */

import { CommandParams, SignalRequest } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, Nothing, problems } from '../reply-schemas.ts'

export function serveSignal(app: App, { commands }: Pick<ApiCore, 'commands'>): void {
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
}
