/** Logs one line for each request. */

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { GuestdError } from '../errors.ts'
import type { Log } from '../log.ts'
import { ID_PATTERN } from '../protocol/schemas.ts'
import { parseTrace } from '../protocol/trace-context.ts'
import { firstOf } from '../util/cut-text.ts'
import type { App } from './types.ts'

/**
 * The level is `info` for traced requests and for writes that fail or are cut off. It is `debug` for all others:
 * commands have their own line at their end, standard input comes in many pieces, and clients poll the status every
 * second. Failures of guestd are logged where they are caught.
 */
export function logRequests(app: App, log: Log): void {
  app.addHook('onRequest', (request, reply, done) => {
    logAtEnd(log, request, reply)
    done()
  })
}

/** Also works for a request that is refused before any hook runs. */
export function logAtEnd(log: Log, request: FastifyRequest, reply: FastifyReply): void {
  // A reply that is cut off emits this event only.
  reply.raw.once('close', () => logRequest(log, request, reply))
}

const refusals = new WeakMap<FastifyRequest, GuestdError>()

/** Adds the code and the field of the refusal to the line of the request. */
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
      // The client disconnected before it had the whole reply.
      ...(raw.writableFinished ? {} : { cut: true }),
      ...commandOf(request, raw.getHeader('guestd-command-id')),
      ...(refusal === undefined ? {} : codeOf(refusal)),
      ...(trace === null ? {} : { traceparent: trace.traceparent }),
    },
    'request',
  )
}

/** Longest id of a command: a longer path segment is cut in the log. */
const MAX_ID_CHARACTERS = 128

/** The client chooses the names of fields: longer ones are cut in the log. */
const MAX_FIELD_CHARACTERS = 128

function codeOf({ code, field }: GuestdError): object {
  return field === undefined ? { code } : { code, field: firstOf(field, MAX_FIELD_CHARACTERS) }
}

const id = new RegExp(ID_PATTERN)

/** The command that the request started, names, or wanted to start. */
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
