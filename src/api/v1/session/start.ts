/** POST /v1/session/start */

import { SessionStart } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

export function serveStart(app: App, { control }: Pick<ApiCore, 'control'>): void {
  app.route({
    method: 'POST',
    url: '/v1/session/start',
    config: { alwaysServed: true },
    schema: {
      summary: 'Start a stopped session again',
      description:
        'A stop counts until the next boot of the machine, or until this call. guestd then ends itself, and its service manager starts it again, with the workspace. Nothing happens where the session is not stopped.',
      querystring: NoQuery,
      response: { 200: SessionStart, ...problems },
    },
    handler: async (_request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return { restarting: control.start() }
    },
  })
}
