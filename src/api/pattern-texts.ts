/** The texts that explain the patterns of the schemas. */

import { EVENT_CURSOR_PATTERN } from '../protocol/schemas/event-schema.ts'
import {
  ID_PATTERN,
  NO_NUL_PATTERN,
  SIGNAL_PATTERN,
  TIME_PATTERN,
  VARIABLE_NAME_PATTERN,
} from '../protocol/schemas/parts.ts'

/** Maps a pattern to a phrase that follows the name of the field. */
export const patternTexts: ReadonlyMap<string, string> = new Map([
  [
    ID_PATTERN,
    'must be 1 to 128 of the characters a-z A-Z 0-9 . _ -, and begin with a letter or a digit',
  ],
  [SIGNAL_PATTERN, 'must be the name of a signal, such as SIGTERM or SIGRTMIN+1'],
  [EVENT_CURSOR_PATTERN, 'must be the cursor of an event: a boot id, a colon and a number'],
  [TIME_PATTERN, 'must be a time such as 2026-11-28T16:00:00.000Z, in UTC'],
  [NO_NUL_PATTERN, 'must not have a NUL character in it'],
  [VARIABLE_NAME_PATTERN, 'is no name of a variable: it is empty, or has "=" or NUL in it'],
])
