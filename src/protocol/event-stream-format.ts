/**
 * The format `application/vnd.amazon.eventstream`. A message has: its total length, the length of its headers, the CRC of
 * these two, the headers, the payload, the CRC of all bytes before it. Numbers are big-endian, CRCs are CRC-32
 * (ISO 3309). Source: the Amazon Event Stream specification of Smithy.
 */

/** Total length, length of the headers, CRC: 4 bytes each. */
export const PRELUDE_BYTES = 12
/** The part of the prelude that its CRC covers. */
export const PRELUDE_CHECKED_BYTES = 8
/** At the end of each message. */
export const MESSAGE_CRC_BYTES = 4
export const MIN_MESSAGE_BYTES = PRELUDE_BYTES + MESSAGE_CRC_BYTES

/** Type tags of header values. */
export const INT64_TAG = 5
export const STRING_TAG = 7

/** Size of a value by its tag, in bytes; `null`: two bytes before the value have its length. */
export const headerValueBytes: Readonly<Record<number, number | null>> = {
  0: 0, // true
  1: 0, // false
  2: 1, // byte
  3: 2, // int16
  4: 4, // int32
  [INT64_TAG]: 8,
  6: null, // bytes
  [STRING_TAG]: null,
  8: 8, // timestamp
  9: 16, // uuid
}

export const MESSAGE_TYPE = ':message-type'
export const EVENT_TYPE = ':event-type'
export const CONTENT_TYPE = ':content-type'
export const STREAM = 'stream'
export const CURSOR = 'cursor'
