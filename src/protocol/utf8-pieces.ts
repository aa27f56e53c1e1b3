/** Moves the cuts between pieces of a text, so that no character is cut. */

import { completePrefixLength, leadingContinuationBytes, sequenceLength } from './utf8.ts'

/**
 * The same bytes as views that begin and end between characters. A character that crosses two pieces becomes a small
 * piece of its own.
 */
export function cutBetweenCharacters(pieces: readonly Buffer[]): Buffer[] {
  const cut: Buffer[] = []
  let begun = Buffer.alloc(0)
  for (const piece of pieces) {
    const completing = completingBytes(begun, piece)
    begun = Buffer.concat([begun, piece.subarray(0, completing)])
    const rest = piece.subarray(completing)
    if (rest.length === 0) continue
    const complete = completePrefixLength(rest)
    cut.push(begun, rest.subarray(0, complete))
    begun = Buffer.from(rest.subarray(complete))
  }
  cut.push(begun)
  return cut.filter(bytes => bytes.length > 0)
}

/** Number of bytes at the beginning of a piece that belong to the character before it. */
function completingBytes(begun: Buffer, piece: Buffer): number {
  const [first] = begun
  if (first === undefined) return 0
  return Math.min(sequenceLength(first) - begun.length, leadingContinuationBytes(piece))
}
