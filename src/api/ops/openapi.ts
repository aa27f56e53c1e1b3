/** GET /openapi.json */

import * as Type from 'typebox'
import type { App, Route } from '../types.ts'
import { NoQuery, problems } from '../v1/reply-schemas.ts'

/** @param routes the list as it is when a client requests the document */
export function serveOpenApi(app: App, routes: readonly Route[], version: string): void {
  app.route({
    method: 'GET',
    url: '/openapi.json',
    schema: {
      summary: 'This document',
      querystring: NoQuery,
      response: { 200: Type.Object({}, { description: 'An OpenAPI 3.1 document' }), ...problems },
    },
    handler: async (_request, reply) => {
      // Loaded on the first request: most sessions never need it.
      const { openApiDocument } = await import('../openapi/document.ts')
      return reply.type('application/json').send(openApiDocument(routes, version))
    },
  })
}
