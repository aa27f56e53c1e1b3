/** Turns each failure of a request into a problem of the error table. */

import type { FastifyReply } from 'fastify'
import { asGuestdError, type ErrorCode, GuestdError } from '../errors.ts'
import { toProblem } from '../protocol/problem.ts'
import { errorCode } from '../util/error-code.ts'

export const PROBLEM_TYPE = 'application/problem+json'

/** Errors of Fastify that a request causes, by code. Its other errors are faults of guestd. */
const frameworkErrors: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  FST_ERR_BAD_URL: ['invalid_request', 'the path has a broken percent-encoding in it', 'url'],
  FST_ERR_MAX_PARAM_LENGTH: ['invalid_request', 'a segment of the path is too long', 'url'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'unsupported_media_type',
    'the body has to be JSON: send Content-Type: application/json',
    'content-type',
  ],
}

/** Converts anything thrown into an error of the table. */
export function problemOf(thrown: unknown): GuestdError {
  if (thrown instanceof GuestdError) return thrown
  const code = errorCode(thrown)
  const known = Object.hasOwn(frameworkErrors, code) ? frameworkErrors[code] : undefined
  if (known === undefined) return asGuestdError(thrown)
  const [ours, detail, field] = known
  return new GuestdError(ours, detail, { field })
}

/** `Retry-After` by status, in seconds: these states usually end within seconds. */
const retryAfterSeconds: Readonly<Record<number, string>> = { 429: '1', 503: '1' }

export function problemBytes(error: GuestdError): Buffer {
  return Buffer.from(JSON.stringify(toProblem(error)))
}

/** Drops the `Connection: close` of Fastify: `lingerOnUnreadBodies` handles the rest of the body. */
export function sendProblem(reply: FastifyReply, error: GuestdError): FastifyReply {
  reply.removeHeader('connection')
  if (error.code === 'request_timeout') reply.header('connection', 'close')
  if (error.code === 'unauthorized') reply.header('www-authenticate', 'Bearer realm="guestd"')
  if (error.status in retryAfterSeconds)
    reply.header('retry-after', retryAfterSeconds[error.status])
  return reply
    .code(error.status)
    .header('content-type', PROBLEM_TYPE)
    .header('cache-control', 'no-store')
    .send(problemBytes(error))
}
