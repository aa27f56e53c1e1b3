/** The last bytes of a stream, in memory that never exceeds them. */

/** First size of the memory, in bytes: most commands say little. */
const FIRST_BYTES = 4 * 1024

export interface Tail {
  /** Bytes dropped at the beginning. */
  readonly droppedBytes: number
  /** Adds bytes, copying them. */
  push(bytes: Uint8Array): void
  /** The bytes held, in order: a copy. */
  bytes(): Buffer
}

/** @param maxBytes most bytes held; older ones are dropped */
export function createTail(maxBytes: number): Tail {
  let ring = new Uint8Array(0)
  let length = 0
  /** Where the next byte goes. */
  let writeAt = 0
  let droppedBytes = 0

  function inOrder(): Buffer {
    const older = length === ring.length ? ring.subarray(writeAt) : new Uint8Array(0)
    return Buffer.concat([older, ring.subarray(0, writeAt)])
  }

  /** Only a ring that is not full grows, so that its bytes still begin at 0. */
  function reserve(wanted: number): void {
    if (wanted <= ring.length || ring.length === maxBytes) return
    const held = inOrder()
    ring = new Uint8Array(Math.min(maxBytes, Math.max(FIRST_BYTES, wanted, ring.length * 2)))
    ring.set(held)
    writeAt = held.length
  }

  return {
    get droppedBytes() {
      return droppedBytes
    },
    push(bytes) {
      const kept = bytes.length > maxBytes ? bytes.subarray(bytes.length - maxBytes) : bytes
      droppedBytes += Math.max(0, length + bytes.length - maxBytes)
      if (kept.length === 0) return
      reserve(Math.min(maxBytes, length + kept.length))
      const untilWrap = kept.subarray(0, ring.length - writeAt)
      ring.set(untilWrap, writeAt)
      ring.set(kept.subarray(untilWrap.length), 0)
      writeAt = (writeAt + kept.length) % ring.length
      length = Math.min(ring.length, length + kept.length)
    },
    bytes: inOrder,
  }
}
