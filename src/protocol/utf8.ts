/**
 * Where UTF-8 characters begin and end (RFC 3629), so that output is never cut inside of one. None
 * of these looks at more than four bytes.
 */

/** Bytes of the longest character. */
export const MAX_CHARACTER_BYTES = 4

/**
 * Length of the prefix that does not end inside a character: at most 3 bytes less than all. Only a
 * sequence that more bytes can still complete is held back, invalid bytes are not.
 */
export function completePrefixLength(bytes: Uint8Array): number {
  return completeEnd(bytes, bytes.length)
}

/**
 * Where to cut a slice of at most `max` bytes so that no character is cut. With `max` smaller than
 * the first character, the answer is `max`: a slice is never empty unless `max` is 0.
 */
export function charBoundaryBefore(bytes: Uint8Array, max: number): number {
  if (bytes.length <= max) return bytes.length
  const end = completeEnd(bytes, max)
  return end === 0 ? max : end
}

/**
 * How many bytes at the beginning (at most 3) can only be the rest of a character that began
 * before: a reader that starts in the middle of one sends these apart.
 */
export function leadingContinuationBytes(bytes: Uint8Array): number {
  const limit = Math.min(bytes.length, MAX_CHARACTER_BYTES - 1)
  let length = 0
  while (length < limit && isContinuation(bytes[length] ?? 0)) length += 1
  return length
}

/** Bytes of the character that a byte begins; 1 for what begins none. */
export function sequenceLength(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1
  if (first < 0xe0) return 2
  return first < 0xf0 ? 3 : 4
}

/** The last place up to `end` that is not inside a sequence which is valid so far. */
function completeEnd(bytes: Uint8Array, end: number): number {
  const oldest = Math.max(0, end - (MAX_CHARACTER_BYTES - 1))
  for (let at = end - 1; at >= oldest; at -= 1) {
    const byte = bytes[at] ?? 0
    if (isContinuation(byte)) continue
    const isHeldBack = end - at < sequenceLength(byte) && isSecondValid(byte, bytes, at + 1, end)
    return isHeldBack ? at : end
  }
  return end
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80
}

/** E0, ED, F0 and F4 allow only part of the second bytes: no overlong form, surrogate or plane 17. */
function isSecondValid(first: number, bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return true
  const second = bytes[at] ?? 0
  if (first === 0xe0) return second >= 0xa0
  if (first === 0xed) return second < 0xa0
  if (first === 0xf0) return second >= 0x90
  if (first === 0xf4) return second < 0x90
  return true
}
