/** The HTTP API: one set of routes for as many servers as there are listeners. */

import type { RequestListener, Server } from 'node:http'
import { createAccess } from './access.ts'
import { createApp } from './app.ts'
import type { ApiOptions } from './context.ts'

export type { ApiOptions, Health } from './context.ts'

export interface Api {
  /** To be awaited before the first request. */
  ready(): Promise<void>
  /** Handles the requests of all servers. */
  readonly handler: RequestListener
  /** Checks Host and Origin of a server's requests: web browsers reach a TCP socket. */
  markTcp(server: Server): void
  /** After the servers are closed. */
  close(): Promise<void>
}

export function createApi(given: ApiOptions): Api {
  const options = { ...given, log: given.log.child({ component: 'api' }) }
  const access = createAccess(options.config)
  const app = createApp(options, access)
  return {
    ready: async () => {
      await app.ready()
    },
    handler: app.routing,
    markTcp: access.markTcp,
    close: () => app.close(),
  }
}
