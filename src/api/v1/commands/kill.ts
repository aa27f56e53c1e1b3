/** DELETE /v1/commands/:id */

import { CommandParams, KillReply } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

export function serveKill(app: App, { commands }: Pick<ApiCore, 'commands'>): void {
  app.route({
    method: 'DELETE',
    url: '/v1/commands/:id',
    schema: {
      summary: 'Kill a command and all its descendants',
      description: 'Replies once none of them is left.',
      params: CommandParams,
      querystring: NoQuery,
      response: { 200: KillReply, ...problems },
    },
    handler: request => commands.get(request.params.id).kill(),
  })
}
