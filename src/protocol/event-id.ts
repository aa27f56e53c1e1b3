/** Ids of server-sent events of a command: one for each event, from which a stream goes on. */

import { GuestdError } from '../errors.ts'
import type { Frame } from './frames.ts'

/** What a client had last, by the id of its event. */
export interface EventPlace {
  readonly cursor: number
  readonly seen: 'output' | 'exit' | 'end'
}

/**
 * `N` for `output` and `gap`, `N.exit` and `N.end` for those, with the cursor N after the frame. `start`,
 * `keepalive` and `error` have none, so that a client keeps the id before them.
 */
export function eventId(frame: Frame): string | null {
  switch (frame.type) {
    case 'output':
    case 'gap':
      return String(frame.cursor)
    case 'exit':
    case 'end':
      return `${frame.cursor}.${frame.type}`
    default:
      return null
  }
}

/** @throws GuestdError `invalid_request` for what is no id of an event */
export function parseEventId(text: string): EventPlace {
  const [, digits = '', kind = 'output'] = /^(\d{1,16})(?:\.(exit|end))?$/.exec(text) ?? []
  const cursor = digits === '' ? Number.NaN : Number(digits)
  if (Number.isSafeInteger(cursor)) {
    return { cursor, seen: kind === 'exit' || kind === 'end' ? kind : 'output' }
  }
  const detail =
    'last-event-id is no id of an event: a whole number of bytes, or one with .exit or .end'
  throw new GuestdError('invalid_request', detail, { field: 'last-event-id' })
}
