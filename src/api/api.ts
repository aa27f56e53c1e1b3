/** The HTTP API: one set of routes for as many servers as there are listeners. */

import type { RequestListener, Server, ServerOptions } from 'node:http'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { createAccess } from './access.ts'
import { createApp } from './app.ts'
import type { ApiOptions } from './context.ts'
import { createDoor } from './door.ts'

export type { ApiOptions, Health, SessionControl } from './context.ts'

export interface Api {
  /** To be awaited before the first request. */
  ready(): Promise<void>
  /** With {@link Api.handler}, what to make a server of: `createServer(serverOptions, handler)`. */
  readonly serverOptions: ServerOptions
  readonly handler: RequestListener
  /** Sets the rest of a server's limits, and answers what is not HTTP. */
  guard(server: Server, options: { readonly isTcp: boolean }): void
  /**
   * Stops listening, closes idle connections at once and the others after their reply, or after
   * `limitMs` in any case. `Server.close` would cut off replies that are not sent yet.
   */
  drain(server: Server, limitMs: number): Promise<void>
  /** Answers a request that came over no connection. */
  inject(request: InjectOptions): Promise<LightMyRequestResponse>
  /** After the servers are closed. */
  close(): Promise<void>
}

export function createApi(given: ApiOptions): Api {
  const options = { ...given, log: given.log.child({ component: 'api' }) }
  const access = createAccess(options.config)
  const app = createApp(options, access)
  const door = createDoor(options, app.routing)
  return {
    ready: async () => {
      await app.ready()
    },
    ...door,
    guard(server, { isTcp }) {
      if (isTcp) access.markTcp(server)
      door.guard(server, { isTcp })
    },
    inject: request => app.inject(request),
    close: () => app.close(),
  }
}
