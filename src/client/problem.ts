/** Refusals: problem+json back into the error that guestd threw. */

import { GuestdError, isErrorCode } from '../errors.ts'

/**
 * The GuestdError of a reply with status 400 or more, or null where the body is no problem of
 * guestd's. A code that this version does not know becomes `internal`, its name kept in the text.
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
