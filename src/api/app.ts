/** The HTTP API from top to bottom: what every request goes through, then the front doors. */

import type { RequestListener, Server } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { createAccess } from './access.ts'
import { logRequests } from './access-log.ts'
import { createInstance, refuseBy } from './fastify-instance.ts'
import { acceptJsonOnly } from './json-body.ts'
import { lingerOnUnreadBodies } from './linger.ts'
import { serveHealth } from './ops/health.ts'
import { opsRoutes } from './ops/ops-routes.ts'
import { createRouteList } from './routes.ts'
import { refuseUnread } from './strict.ts'
import type { ApiCore, ApiStatus, AppSettings, FrontDoor } from './types.ts'
import { serveGetSession } from './v1/session/get.ts'
import { v1Routes } from './v1/v1-routes.ts'

export interface Api {
  /** Await it before the first request. */
  ready(): Promise<void>
  /** Handles the requests of all servers. */
  readonly handler: RequestListener
  /** Checks Host and Origin of the server's requests: web browsers can reach a TCP socket. */
  markTcp(server: Server): void
  /** Call it after the servers are closed. */
  close(): Promise<void>
}

/** The API of a guestd that runs a session. Another front door is another plugin in this list. */
export function createApi(given: ApiCore): Api {
  const core = { ...given, log: given.log.child({ component: 'api' }) }
  return compose(core, [opsRoutes(core), v1Routes(core)])
}

/** The API of a guestd that can only say why it does nothing: `refusal` answers everything else. */
export function createStatusApi(given: AppSettings & ApiStatus): Api {
  const status = { ...given, log: given.log.child({ component: 'api' }) }
  return compose(status, [
    scope => serveHealth(scope, status),
    scope => serveGetSession(scope, status),
  ])
}

function compose(settings: AppSettings, frontDoors: readonly FrontDoor[]): Api {
  const { config, refusal, log } = settings
  const app = createInstance(log)
  const routes = createRouteList(app)
  const access = createAccess(config)

  // Each request goes through these, in this order. All but the last act before its body is read.
  logRequests(app, log)
  refuseBy(app, access.refusal)
  refuseBy(app, ({ routeOptions }) => (routeOptions.config.alwaysServed ? null : refusal()))
  refuseBy(app, (request, reply) => (request.is404 ? routes.refuse(request, reply) : null))
  refuseUnread(app)
  lingerOnUnreadBodies(app)
  acceptJsonOnly(app, config.bodyTimeoutMs)

  for (const add of frontDoors) {
    void app.register(async scope => add(scope.withTypeProvider<TypeBoxTypeProvider>(), routes))
  }
  return {
    ready: async () => {
      await app.ready()
    },
    handler: app.routing,
    markTcp: access.markTcp,
    close: () => app.close(),
  }
}
