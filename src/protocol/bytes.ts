/** Views and joins of byte arrays. */

/** The same memory as a Buffer; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The one piece there is, or all of them copied into one. */
export function joinPieces(pieces: readonly Buffer[]): Buffer {
  const [first, second] = pieces
  return first !== undefined && second === undefined ? first : Buffer.concat(pieces)
}

/** A queue of chunks out of which spans of bytes are taken. */
export interface ByteQueue {
  /** Bytes held. */
  readonly length: number
  /** Adds a chunk; its memory is kept, not copied. */
  push(chunk: Uint8Array): void
  /** Takes the first `length` bytes, which have to be there, as views of the chunks that hold them. */
  takePieces(length: number): Buffer[]
  /** The same in one: a view where one chunk holds them all, else a copy. */
  take(length: number): Buffer
}

/** Used-up chunks that are kept at most: dropping them one by one would make taking O(chunks). */
const MAX_USED_UP = 64

export function createByteQueue(): ByteQueue {
  let chunks: Buffer[] = []
  /** Chunks before this one are used up. */
  let first = 0
  let length = 0

  /** At most `wanted` bytes of the oldest chunk. */
  function takeFirst(wanted: number): Buffer {
    const chunk = chunks[first] ?? Buffer.alloc(0)
    if (wanted < chunk.length) {
      chunks[first] = chunk.subarray(wanted)
      return chunk.subarray(0, wanted)
    }
    first += 1
    if (first === chunks.length || first === MAX_USED_UP) {
      chunks = chunks.slice(first)
      first = 0
    }
    return chunk
  }

  function takePieces(wanted: number): Buffer[] {
    if (wanted > length) throw new RangeError(`${wanted} bytes wanted, ${length} held`)
    length -= wanted
    const pieces: Buffer[] = []
    for (let missing = wanted; missing > 0; ) {
      const piece = takeFirst(missing)
      pieces.push(piece)
      missing -= piece.length
    }
    return pieces
  }

  return {
    get length() {
      return length
    },
    push(chunk) {
      if (chunk.length === 0) return
      chunks.push(asBuffer(chunk))
      length += chunk.length
    },
    takePieces,
    take: wanted => joinPieces(takePieces(wanted)),
  }
}
