/** The trace of a request, by W3C Trace Context (https://www.w3.org/TR/trace-context/). */

export interface Trace {
  /** `00-TRACE_ID-PARENT_ID-FLAGS`, lower case. */
  readonly traceparent: string
  /** `null`: there is none, or it is invalid. */
  readonly tracestate: string | null
}

/** Longest tracestate, in characters: the specification requires at least this. */
export const MAX_TRACESTATE_CHARACTERS = 512

/** Most members of a tracestate. */
const MAX_TRACESTATE_MEMBERS = 32

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[^,]*)?$/
const ZEROS = /^0+$/
const MEMBER =
  /^(?:[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const SAMPLED = 1

/**
 * The trace of a request; `null` without a valid `traceparent`. As specified, a later version of the header is read as
 * version 00, and an invalid `tracestate` does not invalidate the `traceparent`.
 *
 * @param headers of Node: a header that was sent twice is one string, or a list
 */
export function parseTrace(headers: Readonly<Record<string, unknown>>): Trace | null {
  const traceparent = parseTraceparent(headers.traceparent)
  return traceparent === null
    ? null
    : { traceparent, tracestate: parseTracestate(headers.tracestate) }
}

function parseTraceparent(text: unknown): string | null {
  if (typeof text !== 'string') return null
  const [, version = 'ff', traceId = '', parentId = '', flags = '', rest] =
    TRACEPARENT.exec(text) ?? []
  if (version === 'ff' || ZEROS.test(traceId) || ZEROS.test(parentId)) return null
  if (version === '00') return rest === undefined ? text : null
  const known = Number.parseInt(flags, 16) & SAMPLED
  return `00-${traceId}-${parentId}-0${known}`
}

function parseTracestate(text: unknown): string | null {
  if (typeof text !== 'string' || text.length > MAX_TRACESTATE_CHARACTERS) return null
  const members = text
    .split(',')
    .map(member => member.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter(member => member !== '')
  const keys = new Set(members.map(member => member.split('=', 1)[0]))
  const isValid =
    members.length > 0 &&
    members.length <= MAX_TRACESTATE_MEMBERS &&
    keys.size === members.length &&
    members.every(member => MEMBER.test(member))
  return isValid ? members.join(',') : null
}
