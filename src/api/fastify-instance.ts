/** The Fastify instance: how it routes, validates and reports errors. It has no server of its own. */

import type { Server } from 'node:http'
import { type FastifyError, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import type { GuestdError } from '../errors.ts'
import type { Log } from '../log.ts'
import { logAtEnd, noteRefusal } from './access-log.ts'
import { MAX_JSON_BYTES } from './json-body.ts'
import { problemOf, sendProblem } from './problems.ts'
import type { App } from './types.ts'
import { createValidator } from './validate.ts'

/** Longer than any id: an id that is too long is then an invalid field, not an unknown route. */
const MAX_PARAM_CHARACTERS = 1024

/** Make it ready before its `routing` is used. */
export function createInstance(log: Log): App {
  const app: App = fastify<Server>({
    logger: false,
    bodyLimit: MAX_JSON_BYTES,
    // While guestd stops, its own checks refuse requests.
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
  // ajv would cost 7.6 MiB of private memory and 80 ms at the start; TypeBox is loaded anyway.
  app.setValidatorCompiler(createValidator)
  // guestd's own code makes the replies: there is nothing to filter out of them.
  app.setSerializerCompiler(() => data => JSON.stringify(data))

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = problemOf(error)
    noteRefusal(request, problem)
    if (problem.code === 'internal') {
      // Most of the errors after a disconnect are about the disconnect.
      const level = reply.raw.destroyed ? 'debug' : 'error'
      log[level]({ err: error, method: request.method, url: request.url }, 'a request failed')
    }
    return sendProblem(reply, problem)
  })
  return app
}

/** Refuses a request with what the check returns, before its body is read; null lets it pass. */
export function refuseBy(
  app: App,
  check: (request: FastifyRequest, reply: FastifyReply) => GuestdError | null,
): void {
  app.addHook('onRequest', (request, reply, done) => done(check(request, reply) ?? undefined))
}

function unused(): never {
  throw new Error('Fastify asked for a compiler that guestd replaces')
}
