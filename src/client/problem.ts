/** Turns the `application/problem+json` of a refusal into a GuestdError. */

import { GuestdError, isErrorCode } from '../errors.ts'

/**
 * Returns the error of a reply with status 400 or more, or null if the body is not a problem of guestd. A code
 * that this version does not know becomes `internal`, and its name stays in the message.
 */
export function toGuestdError(body: Uint8Array): GuestdError | null {
  const problem = parseObject(body)
  if (problem === null || typeof problem.code !== 'string') return null
  const { code, title, detail, field } = problem
  const text = typeof detail === 'string' ? detail : String(title ?? code)
  const options = typeof field === 'string' ? { field } : {}
  if (isErrorCode(code)) return new GuestdError(code, text, options)
  return new GuestdError('internal', `${text} (${code})`, options)
}

function parseObject(body: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString())
    return typeof value === 'object' && value !== null ? { ...value } : null
  } catch {
    return null
  }
}
