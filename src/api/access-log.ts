/** One line for each request. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Log } from '../log.ts'
import { firstOf } from '../util/cut-text.ts'
import type { App } from './context.ts'

/**
 * `info` for traced requests, and for calls that were to change something and were refused or cut
 * off; `debug` for the rest: commands have a line of their own at their end, standard input comes in
 * many pieces, and status is asked for every second. Failures of guestd are logged where they are
 * caught.
 */
export function logRequests(app: App, log: Log): void {
  app.addHook('onRequest', (request, reply, done) => {
    // Of a reply that is cut off this is all that is heard.
    reply.raw.once('close', () => logRequest(log, request, reply))
    done()
  })
}

function logRequest(log: Log, request: FastifyRequest, { raw, elapsedTime }: FastifyReply): void {
  const trace = traceOf(request)
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const isDone = raw.writableFinished && raw.statusCode < 400
  const level = trace === undefined && (isRead || isDone) ? 'debug' : 'info'
  if (!log.isLevelEnabled(level)) return
  log[level](
    {
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: raw.headersSent ? raw.statusCode : null,
      ms: Math.round(elapsedTime),
      // The client went away before it had the whole reply.
      ...(raw.writableFinished ? {} : { cut: true }),
      ...commandOf(request, raw.getHeader('guestd-command-id')),
      ...(trace === undefined ? {} : { traceparent: trace }),
    },
    'request',
  )
}

/** Longer ones are no ids, whatever was asked for. */
const MAX_ID_CHARACTERS = 128

/** W3C Trace Context: anything else in the header is not worth a line. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

function traceOf({ headers }: FastifyRequest): string | undefined {
  const { traceparent } = headers
  return typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? traceparent : undefined
}

function commandOf(request: FastifyRequest, header: unknown): { command?: string } {
  if (typeof header === 'string') return { command: header }
  const { params } = request
  if (typeof params !== 'object' || params === null || !('id' in params)) return {}
  return typeof params.id === 'string' ? { command: firstOf(params.id, MAX_ID_CHARACTERS) } : {}
}
