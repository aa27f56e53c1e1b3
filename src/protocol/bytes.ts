/** Byte arrays: views, joins, and a queue. */

/** A Buffer of the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** The only piece itself, or a copy of all pieces in one. */
export function joinPieces(pieces: readonly Buffer[]): Buffer {
  const [first, second] = pieces
  return first !== undefined && second === undefined ? first : Buffer.concat(pieces)
}

/** A queue of bytes that come in chunks. */
export interface ByteQueue {
  /** Number of bytes in the queue. */
  readonly length: number
  /** Appends a chunk without copying it. */
  push(chunk: Uint8Array): void
  /** Removes the first `length` bytes and returns views of their chunks. @throws RangeError if there are fewer */
  takePieces(length: number): Buffer[]
  /** The same as one array: a view if all bytes are in one chunk, else a copy. */
  take(length: number): Buffer
}

/** Most empty chunks that stay in the list. Removing each of them at once would take O(chunks). */
const MAX_USED_UP = 64

export function createByteQueue(): ByteQueue {
  let chunks: Buffer[] = []
  /** Index of the first chunk that is not empty. */
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
    if (wanted > length) throw new RangeError(`${wanted} bytes are not in the queue of ${length}`)
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
