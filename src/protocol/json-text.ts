/**
 * Escapes bytes of valid UTF-8 for a JSON string (RFC 8259, 7), without making a string. JSON escapes only ASCII, so the
 * bytes of other characters are copied. This is several times as fast as JSON.stringify, which would limit a stream.
 */

/** Most bytes that are escaped at once. It bounds the scratch memory, which has room for the worst case. */
export const ESCAPE_SLICE_BYTES = 64 * 1024

/** One byte can become `\u0000`. */
const WORST_EXPANSION = 6
/** Four bytes are written at a time. */
const SLACK = 4

/** For each byte: 0 if it is copied, `u` for `\u00XX`, else the letter after the backslash. */
const escapes = new Uint8Array(256)
const LETTER_U = 0x75
escapes.fill(LETTER_U, 0, 0x20)
for (const [byte, letter] of [
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [0x22, '"'],
  [0x5c, '\\'],
] as const) {
  escapes[byte] = letter.charCodeAt(0)
}

const hexDigits = Buffer.from('0123456789abcdef')
const BACKSLASH = 0x5c
const ZERO = 0x30

/** Shared by all calls: each copies its result out before it returns. */
let scratch = new Uint8Array(0)
let scratchView = new DataView(scratch.buffer)

/**
 * The escaped bytes between `head` and `tail`, which are ASCII. There is one chunk for each
 * {@link ESCAPE_SLICE_BYTES} of input.
 */
export function jsonText(head: string, bytes: Buffer, tail: string): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let at = 0
  do {
    const slice = bytes.subarray(at, at + ESCAPE_SLICE_BYTES)
    reserve(head.length + slice.length * WORST_EXPANSION + tail.length + SLACK)
    let length = at === 0 ? writeAscii(head, 0) : 0
    length = escapeInto(slice, length)
    at += slice.length
    if (at >= bytes.length) length = writeAscii(tail, length)
    const chunk = Buffer.allocUnsafe(length)
    chunk.set(scratch.subarray(0, length))
    chunks.push(chunk)
  } while (at < bytes.length)
  return chunks
}

function reserve(length: number): void {
  if (scratch.length >= length) return
  scratch = new Uint8Array(length)
  scratchView = new DataView(scratch.buffer)
}

function writeAscii(text: string, at: number): number {
  for (let index = 0; index < text.length; index += 1) scratch[at + index] = text.charCodeAt(index)
  return at + text.length
}

/** Copies four bytes at a time if none of them needs an escape. @returns the index after the last byte written */
function escapeInto(bytes: Buffer, start: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const output = scratchView
  const wordsEnd = bytes.length - 3
  let to = start
  let at = 0
  for (; at < wordsEnd; at += 4) {
    const word = view.getInt32(at, true)
    if (hasSpecialByte(word)) {
      to = escapeByte(word & 0xff, to)
      to = escapeByte((word >> 8) & 0xff, to)
      to = escapeByte((word >> 16) & 0xff, to)
      to = escapeByte(word >>> 24, to)
    } else {
      output.setInt32(to, word, true)
      to += 4
    }
  }
  for (; at < bytes.length; at += 1) to = escapeByte(bytes[at] ?? 0, to)
  return to
}

/**
 * Whether one of a word's four bytes is below 0x20, a quote or a backslash: the "has less" and
 * "has zero" tests of Bit Twiddling Hacks.
 */
function hasSpecialByte(word: number): boolean {
  const quotes = word ^ 0x22222222
  const backslashes = word ^ 0x5c5c5c5c
  const control = (word - 0x20202020) & ~word
  const quote = (quotes - 0x01010101) & ~quotes
  const backslash = (backslashes - 0x01010101) & ~backslashes
  return ((control | quote | backslash) & 0x80808080) !== 0
}

function escapeByte(byte: number, at: number): number {
  const output = scratch
  const letter = escapes[byte] ?? 0
  if (letter === 0) {
    output[at] = byte
    return at + 1
  }
  output[at] = BACKSLASH
  output[at + 1] = letter
  if (letter !== LETTER_U) return at + 2
  output[at + 2] = ZERO
  output[at + 3] = ZERO
  output[at + 4] = ZERO + (byte >> 4)
  output[at + 5] = hexDigits[byte & 0xf] ?? ZERO
  return at + WORST_EXPANSION
}
