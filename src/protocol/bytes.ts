/** Views and joins of byte arrays. */

/** The same memory as a Buffer; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A queue of chunks out of which spans of bytes are taken. */
export interface ByteQueue {
  /** Bytes held. */
  readonly length: number
  /** Adds a chunk; its memory is kept, not copied. */
  push(chunk: Uint8Array): void
  /**
   * Takes the first `length` bytes, which have to be there: a view where one chunk holds them all,
   * else a copy.
   */
  take(length: number): Buffer
}

/** Used-up chunks that are kept at most: dropping them one by one would make taking O(chunks). */
const MAX_USED_UP = 64

export function createByteQueue(): ByteQueue {
  let chunks: Buffer[] = []
  /** Chunks before this one are used up. */
  let first = 0
  let length = 0

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

  return {
    get length() {
      return length
    },
    push(chunk) {
      if (chunk.length === 0) return
      chunks.push(asBuffer(chunk))
      length += chunk.length
    },
    take(wanted) {
      if (wanted > length) throw new RangeError(`${wanted} bytes wanted, ${length} held`)
      length -= wanted
      if (wanted === 0) return Buffer.alloc(0)
      const head = takeFirst(wanted)
      if (head.length === wanted) return head
      const whole = Buffer.allocUnsafe(wanted)
      let filled = head.copy(whole)
      while (filled < wanted) filled += takeFirst(wanted - filled).copy(whole, filled)
      return whole
    },
  }
}
