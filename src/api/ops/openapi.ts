/** GET /openapi.json */

import type { App } from '../context.ts'
import type { Route } from '../routes.ts'

/** @param routes those there are when the document is asked for */
export function serveOpenApi(app: App, routes: readonly Route[], version: string): void {
  app.route({
    method: 'GET',
    url: '/openapi.json',
    schema: { summary: 'This document' },
    handler: async (_request, reply) => {
      // Loaded, and made, only for those who ask.
      const { openApiDocument } = await import('../openapi/document.ts')
      return reply.type('application/json').send(openApiDocument(routes, version))
    },
  })
}
