/** PUT /v1/session */

import { SessionInfo, SessionRequest } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

export function serveSetSession(
  app: App,
  { session, control }: Pick<ApiCore, 'session' | 'control'>,
): void {
  app.route({
    method: 'PUT',
    url: '/v1/session',
    config: { alwaysServed: true },
    schema: {
      summary: 'Set or renew the session',
      description:
        'Sets which session this is, once a boot. A second request with the same `id` and `runtimeVersion` replaces `env`, `limits`, `idleMs` and `lifetimeMs`: what it leaves out is as configured. It holds for commands that start later. Another `id` or `runtimeVersion` is `session_set` with that `field`. A volume that belongs to another session is `session_mismatch`.',
      querystring: NoQuery,
      body: SessionRequest,
      response: { 200: SessionInfo, ...problems },
    },
    handler: async (request, reply) => {
      await control.assignSession(request.body)
      reply.header('Cache-Control', 'no-store')
      return session()
    },
  })
}
