/** The front door for operators: health, readiness and the OpenAPI document. */

import type { ApiCore, FrontDoor } from '../types.ts'
import { serveHealth } from './health.ts'
import { serveOpenApi } from './openapi.ts'

export function opsRoutes(core: Pick<ApiCore, 'health' | 'version'>): FrontDoor {
  return (scope, routes) => {
    serveHealth(scope, core)
    serveOpenApi(scope, routes.all, core.version)
  }
}
