/** Bounds the structure of a JSON text before it is parsed, because parsing blocks the event loop. */

import { GuestdError } from '../errors.ts'

/** Most values and members of a JSON body together: 700,000 block the event loop for seconds. */
export const MAX_JSON_MEMBERS = 16_384

/** Deepest nesting of a JSON body. The schemas of the API need 3. */
export const MAX_JSON_DEPTH = 32

const QUOTE = 0x22
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/**
 * Makes one pass over the bytes and stops at the first bound. `JSON.parse` checks the syntax later. Each value except
 * the first of its object or array follows a comma, so the number of commas and opening brackets is an upper bound of
 * the number of values.
 *
 * @throws GuestdError `too_large` past {@link MAX_JSON_MEMBERS}, `invalid_request` past
 * {@link MAX_JSON_DEPTH}
 */
export function checkJsonBounds(bytes: Uint8Array): void {
  let members = 0
  let depth = 0
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === QUOTE) at = endOfString(bytes, at)
    else if (byte === COMMA) members += 1
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      members += 1
      depth += 1
      if (depth > MAX_JSON_DEPTH)
        throw new GuestdError('invalid_request', `the body nests deeper than ${MAX_JSON_DEPTH}`)
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1
    if (members > MAX_JSON_MEMBERS)
      throw new GuestdError('too_large', `a JSON body has at most ${MAX_JSON_MEMBERS} values`)
  }
}

/** Index of the closing quote; the end of the text if there is none. */
function endOfString(bytes: Uint8Array, opening: number): number {
  let at = opening + 1
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at
}
