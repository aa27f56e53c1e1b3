/** GET /v1/session */

import { SessionInfo, SessionRequest, TopQuery, WorkspaceTop } from '../../../protocol/schemas.ts'
import type { ApiOptions, App } from '../../context.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

const DEFAULT_COUNT = 10

export function serveSession(app: App, { session, control }: ApiOptions): void {
  app.route({
    method: 'GET',
    url: '/v1/session',
    schema: {
      summary: 'Inspect the session',
      querystring: NoQuery,
      response: { 200: SessionInfo, ...problems },
    },
    handler: async (_request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return session()
    },
  })

  app.route({
    method: 'PUT',
    url: '/v1/session',
    schema: {
      summary: 'Set or renew the session',
      description:
        'Sets which session this is, once a boot. A second request with the same `id` and `runtimeVersion` replaces `env`, `limits`, `idleMs` and `lifetimeMs`: what it leaves out is as configured. It holds for commands that start later. Another `id` or `runtimeVersion` is `session_set` with that `field`. A volume that belongs to another session is `session_mismatch`.',
      querystring: NoQuery,
      body: SessionRequest,
      response: { 200: SessionInfo, ...problems },
    },
    handler: async (request, reply) => {
      await control.handOver(request.body)
      reply.header('Cache-Control', 'no-store')
      return session()
    },
  })

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
