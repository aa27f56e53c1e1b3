/** Finds where UTF-8 characters begin and end (RFC 3629). No function reads more than four bytes. */

/** Size of the longest character. */
export const MAX_CHARACTER_BYTES = 4

/**
 * Length of the longest prefix that does not end inside a character. At most 3 bytes are left out, and only if more bytes
 * can complete them: invalid bytes are part of the prefix.
 */
export function completePrefixLength(bytes: Uint8Array): number {
  return completeEnd(bytes, bytes.length)
}

/**
 * Where to cut a slice of at most `max` bytes between two characters. If the first character is longer than `max`, it is
 * cut: a slice is empty only if `max` is 0.
 */
export function charBoundaryBefore(bytes: Uint8Array, max: number): number {
  if (bytes.length <= max) return bytes.length
  const end = completeEnd(bytes, max)
  return end === 0 ? max : end
}

/** Number of bytes at the beginning, at most 3, that are the rest of an earlier character. */
export function leadingContinuationBytes(bytes: Uint8Array): number {
  const limit = Math.min(bytes.length, MAX_CHARACTER_BYTES - 1)
  let length = 0
  while (length < limit && isContinuation(bytes[length] ?? 0)) length += 1
  return length
}

/** Size of the character that starts with this byte; 1 if no character does. */
export function sequenceLength(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1
  if (first < 0xe0) return 2
  return first < 0xf0 ? 3 : 4
}

/** The last index up to `end` that is not inside a sequence that is valid so far. */
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

/** E0, ED, F0 and F4 restrict the second byte: this excludes overlong forms, surrogates, and characters past U+10FFFF. */
function isSecondValid(first: number, bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return true
  const second = bytes[at] ?? 0
  if (first === 0xe0) return second >= 0xa0
  if (first === 0xed) return second < 0xa0
  if (first === 0xf0) return second >= 0x90
  if (first === 0xf4) return second < 0x90
  return true
}
