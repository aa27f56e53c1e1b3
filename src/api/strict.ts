/** Refuses parts of a request that its route does not read. */

import type { FastifyRequest } from 'fastify'
import { GuestdError } from '../errors.ts'
import type { App } from './types.ts'

export function refuseUnread(app: App): void {
  app.addHook('onRequest', (request, _reply, done) => done(codingRefusal(request) ?? undefined))
  app.addHook('preValidation', (request, _reply, done) => done(bodyRefusal(request) ?? undefined))
}

/** guestd decompresses no body, so it refuses a compressed one. */
function codingRefusal({ headers, method }: FastifyRequest): GuestdError | null {
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? ''
  if (coding !== '' && coding !== 'identity') {
    const detail = 'a body has to come without a Content-Encoding'
    return new GuestdError('unsupported_media_type', detail, { field: 'content-encoding' })
  }
  const length = Number(headers['content-length'] ?? 0)
  if (!isRead(method) || (length === 0 && headers['transfer-encoding'] === undefined)) return null
  return new GuestdError('invalid_request', `a ${method} has no body`)
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** A route without a body schema accepts no fields. A raw body is undefined here. */
function bodyRefusal({ body, routeOptions }: FastifyRequest): GuestdError | null {
  if (body === undefined || routeOptions.schema?.body !== undefined) return null
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return new GuestdError('invalid_request', 'the body must be an object without fields')
  }
  const field = Object.keys(body)[0]
  if (field === undefined) return null
  return new GuestdError('invalid_request', `${field} is not known here`, { field })
}
