/** The Fastify instance: routing, validation and errors, with no server of its own. */

import type { Server } from 'node:http'
import { type FastifyError, fastify } from 'fastify'
import type { Access } from './access.ts'
import { logAtEnd, logRequests, noteRefusal } from './access-log.ts'
import type { ApiOptions, App } from './context.ts'
import { acceptJsonOnly, MAX_JSON_BYTES } from './json-body.ts'
import { lingerOnUnreadBodies } from './linger.ts'
import { createMemoryBudget } from './memory-budget.ts'
import { serveHealth } from './ops/health.ts'
import { serveOpenApi } from './ops/openapi.ts'
import { problemOf, sendProblem } from './problems.ts'
import { createRouteList } from './routes.ts'
import { refuseUnread } from './strict.ts'
import { serveInspect } from './v1/commands/inspect.ts'
import { serveKill } from './v1/commands/kill.ts'
import { serveList } from './v1/commands/list.ts'
import { serveOutput } from './v1/commands/output.ts'
import { serveRun } from './v1/commands/run.ts'
import { serveSignal } from './v1/commands/signal.ts'
import { serveStdin } from './v1/commands/stdin.ts'
import { serveEvents } from './v1/events/read.ts'
import { serveClearTemporary } from './v1/session/clear-temporary.ts'
import { serveFlush } from './v1/session/flush.ts'
import { serveGetSession } from './v1/session/get.ts'
import { serveLargest } from './v1/session/largest.ts'
import { serveSetSession } from './v1/session/set.ts'
import { serveStart } from './v1/session/start.ts'
import { serveStop } from './v1/session/stop.ts'
import { createValidator } from './validate.ts'

/** Longer than any id, so that one too long is refused with its field and not as an unknown route. */
const MAX_PARAM_CHARACTERS = 1024

/** The instance is to be made ready before its `routing` is used. */
export function createApp(options: ApiOptions, access: Access): App {
  const { log } = options
  const app: App = fastify<Server>({
    logger: false,
    bodyLimit: MAX_JSON_BYTES,
    // While guestd stops, calls are answered with its own errors.
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_PARAM_CHARACTERS },
    frameworkErrors: (error, request, reply) => {
      const problem = problemOf(error)
      logAtEnd(log, request, reply)
      noteRefusal(request, problem)
      void sendProblem(reply, problem)
    },
    // Keeps Fastify from loading ajv and its serializer: both are replaced below.
    schemaController: {
      compilersFactory: { buildValidator: unused, buildSerializer: unused },
    },
  })
  // ajv would cost 7.6 MiB of private memory and 80 ms at the start; TypeBox is here anyway.
  app.setValidatorCompiler(createValidator)
  // Replies are made by guestd's own code: there is nothing to filter out of them.
  app.setSerializerCompiler(() => data => JSON.stringify(data))
  const routes = createRouteList(app)

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = problemOf(error)
    noteRefusal(request, problem)
    if (problem.code === 'internal') {
      // That the client has gone away is what most of the errors without it are about.
      const level = reply.raw.destroyed ? 'debug' : 'error'
      log[level]({ err: error, method: request.method, url: request.url }, 'a request failed')
    }
    return sendProblem(reply, problem)
  })
  logRequests(app, log)
  app.addHook('onRequest', (request, _reply, done) => {
    done(access.refusal(request) ?? undefined)
  })
  const { refusal } = options
  if (refusal !== undefined) {
    app.addHook('onRequest', (request, _reply, done) => {
      done(isAlwaysServed(request.routeOptions.url) ? undefined : (refusal() ?? undefined))
    })
  }
  // Before a body is read: an unknown route is told as one whatever comes with it.
  app.addHook('onRequest', (request, reply, done) => {
    done(request.is404 ? routes.refuse(request, reply) : undefined)
  })
  refuseUnread(app)
  lingerOnUnreadBodies(app)
  acceptJsonOnly(app, options.config.bodyTimeoutMs)

  serveHealth(app, options)
  serveOpenApi(app, routes.all, options.version)
  serveGetSession(app, options)
  serveSetSession(app, options)
  serveLargest(app, options)
  serveFlush(app, options)
  serveClearTemporary(app, options)
  serveStop(app, options)
  serveStart(app, options)
  serveEvents(app, options)
  // Beside the memory of the logs: at most half as much.
  const replies = { ...options, summaries: createMemoryBudget(options.outputBytes / 2) }
  serveRun(app, replies)
  serveList(app, options)
  serveInspect(app, options)
  serveOutput(app, replies)
  serveSignal(app, options)
  serveKill(app, options)
  serveStdin(app, options)
  return app
}

/** What tells how guestd is. */
const alwaysServed: readonly (string | undefined)[] = [
  '/healthz',
  '/readyz',
  '/v1/session',
  '/v1/session/stop',
  '/v1/session/start',
  '/v1/events',
]

function isAlwaysServed(route: string | undefined): boolean {
  return alwaysServed.includes(route)
}

function unused(): never {
  throw new Error('a schema is compiled by a compiler that the app has not')
}
