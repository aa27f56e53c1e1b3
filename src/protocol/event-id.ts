/** Ids of server-sent events of a command. A stream continues after the event with a given id. */

import { GuestdError } from '../errors.ts'
import type { Frame } from './frames.ts'

/** The last event that a client has, from its id. */
export interface EventPlace {
  readonly cursor: number
  /** The type of that event; `output` stands for `gap` too. */
  readonly seen: 'output' | 'exit' | 'end'
}

/**
 * The id of a frame's event: the cursor `N` of `output` and `gap`, `N.exit`, `N.end`. `null` for the other frames: a
 * client then keeps the id that it has.
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

/** @throws GuestdError `invalid_request` if the text is not an event id */
export function parseEventId(text: string): EventPlace {
  const [, digits = '', kind = 'output'] = /^(\d{1,16})(?:\.(exit|end))?$/.exec(text) ?? []
  const cursor = digits === '' ? Number.NaN : Number(digits)
  if (Number.isSafeInteger(cursor)) {
    return { cursor, seen: kind === 'exit' || kind === 'end' ? kind : 'output' }
  }
  const detail =
    'last-event-id is not an event id, which is a number, a number with .exit, or a number with .end'
  throw new GuestdError('invalid_request', detail, { field: 'last-event-id' })
}
