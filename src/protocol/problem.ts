/** A failure as the body of a reply. */

import { errorTable, type GuestdError } from '../errors.ts'
import type { Problem } from './schemas.ts'

/** The members of RFC 9457, with guestd's `code`, `retryable` and, if one field is at fault, `field`. */
export function toProblem({ code, message, field }: GuestdError): Problem {
  const { status, title, retryable } = errorTable[code]
  return {
    type: `urn:guestd:error:${code}`,
    title,
    status,
    detail: message,
    code,
    retryable,
    ...(field === undefined ? {} : { field }),
  }
}
