/** GET /healthz and GET /readyz */

import * as Type from 'typebox'
import { Readiness } from '../../protocol/schemas.ts'
import type { ApiCore, App } from '../types.ts'
import { NoQuery, problems } from '../v1/reply-schemas.ts'

const Alive = Type.Object(
  { alive: Type.Literal(true) },
  { description: 'guestd answers, whatever the state of the session' },
)

export function serveHealth(app: App, { health }: Pick<ApiCore, 'health'>): void {
  app.route({
    method: 'GET',
    url: '/healthz',
    // Its reply says only that guestd runs, so a health check needs no secret.
    config: { alwaysServed: true, needsNoToken: true },
    schema: { summary: 'Alive?', querystring: NoQuery, response: { 200: Alive, ...problems } },
    handler: async () => ({ alive: true as const }),
  })

  app.route({
    method: 'GET',
    url: '/readyz',
    config: { alwaysServed: true },
    schema: {
      summary: 'Ready?',
      querystring: NoQuery,
      response: { 200: Readiness, 503: Readiness, ...problems },
    },
    handler: async (_request, reply) => {
      const { ready, reasons } = health.ready()
      return reply.code(ready ? 200 : 503).send({ ready, reasons: [...reasons] })
    },
  })
}
