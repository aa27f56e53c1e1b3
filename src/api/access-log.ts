/** One line for each request. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { GuestdError } from '../errors.ts'
import type { Log } from '../log.ts'
import { ID_PATTERN } from '../protocol/schemas.ts'
import { parseTrace } from '../protocol/trace-context.ts'
import { firstOf } from '../util/cut-text.ts'
import type { App } from './types.ts'

/**
 * `info` for traced requests, and for calls that were to change something and were refused or cut
 * off; `debug` for the rest: commands have a line of their own at their end, standard input comes in
 * many pieces, and status is asked for every second. Failures of guestd are logged where they are
 * caught.
 */
export function logRequests(app: App, log: Log): void {
  app.addHook('onRequest', (request, reply, done) => {
    logAtEnd(log, request, reply)
    done()
  })
}

/** For a request that is refused before any hook runs, too. */
export function logAtEnd(log: Log, request: FastifyRequest, reply: FastifyReply): void {
  // The only event of a reply that is cut off.
  reply.raw.once('close', () => logRequest(log, request, reply))
}

const refusals = new WeakMap<FastifyRequest, GuestdError>()

/** Has the line of the request carry why it is refused. */
export function noteRefusal(request: FastifyRequest, problem: GuestdError): void {
  refusals.set(request, problem)
}

function logRequest(log: Log, request: FastifyRequest, { raw, elapsedTime }: FastifyReply): void {
  const trace = parseTrace(request.headers)
  const refusal = refusals.get(request)
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const isDone = raw.writableFinished && raw.statusCode < 400
  const level = trace === null && (isRead || isDone) ? 'debug' : 'info'
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
      ...(refusal === undefined ? {} : codeOf(refusal)),
      ...(trace === null ? {} : { traceparent: trace.traceparent }),
    },
    'request',
  )
}

/** Longer ones are no ids, whatever was asked for. */
const MAX_ID_CHARACTERS = 128

/** Of the name of a field, which the client chooses. */
const MAX_FIELD_CHARACTERS = 128

function codeOf({ code, field }: GuestdError): object {
  return field === undefined ? { code } : { code, field: firstOf(field, MAX_FIELD_CHARACTERS) }
}

const id = new RegExp(ID_PATTERN)

/** The command that the request made, names, or would have made. */
function commandOf(request: FastifyRequest, header: unknown): { command?: string } {
  if (typeof header === 'string') return { command: header }
  const { params, body } = request
  const inPath = idIn(params)
  if (inPath !== undefined) return { command: firstOf(inPath, MAX_ID_CHARACTERS) }
  const inBody = request.routeOptions.url === '/v1/commands' ? idIn(body) : undefined
  return inBody !== undefined && id.test(inBody) ? { command: inBody } : {}
}

function idIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('id' in value)) return undefined
  return typeof value.id === 'string' ? value.id : undefined
}
