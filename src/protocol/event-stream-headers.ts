/** Reads the headers of an event stream message. */

import { headerValueBytes, INT64_TAG, STRING_TAG } from './event-stream-format.ts'
import { ProtocolError } from './protocol-error.ts'

/** Size of the length before a string or a byte array. */
const VALUE_LENGTH_BYTES = 2

/**
 * The headers that are strings, and those that are 64-bit integers from 0 to MAX_SAFE_INTEGER. Others are skipped.
 *
 * @throws ProtocolError `malformed`
 */
export function readHeaders(bytes: Buffer): ReadonlyMap<string, string | number> {
  const headers = new Map<string, string | number>()
  let at = 0

  function take(length: number): number {
    const start = at
    at += length
    if (at > bytes.length) {
      throw new ProtocolError('malformed', 'a header is longer than the rest of the headers')
    }
    return start
  }

  while (at < bytes.length) {
    const nameLength = bytes.readUInt8(take(1))
    const nameStart = take(nameLength)
    const name = bytes.toString('utf8', nameStart, nameStart + nameLength)
    const tag = bytes.readUInt8(take(1))
    const fixed = headerValueBytes[tag]
    if (fixed === undefined) {
      throw new ProtocolError('malformed', `a header has the unknown type ${tag}`)
    }
    const length = fixed ?? bytes.readUInt16BE(take(VALUE_LENGTH_BYTES))
    const start = take(length)
    if (tag === STRING_TAG) headers.set(name, bytes.toString('utf8', start, start + length))
    if (tag === INT64_TAG) setCount(headers, name, bytes.readBigInt64BE(start))
  }
  return headers
}

function setCount(headers: Map<string, string | number>, name: string, value: bigint): void {
  if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) headers.set(name, Number(value))
}
