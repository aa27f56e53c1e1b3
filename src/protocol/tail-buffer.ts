/** Keeps the last bytes of a stream, in memory of a bounded size. */

import { asBuffer } from './bytes.ts'

/** First size of the memory, in bytes: most commands write little. */
export const FIRST_BYTES = 4 * 1024

export interface TailBuffer {
  /** Bytes that were dropped at the beginning. */
  readonly droppedBytes: number
  /** Appends a copy of the bytes. */
  push(bytes: Uint8Array): void
  /** A copy of the bytes held, in order. */
  bytes(): Buffer
  /** The bytes held, in order. The buffer is empty afterwards. */
  take(): Buffer
}

/**
 * @param maxBytes most bytes held; older ones are dropped
 * @param mayHold called before the memory grows to a number of bytes; if it returns false, less is held from then on, at
 * least {@link FIRST_BYTES}
 */
export function createTailBuffer(
  maxBytes: number,
  mayHold: (bytes: number) => boolean = () => true,
): TailBuffer {
  let mostBytes = maxBytes
  let ring = new Uint8Array(0)
  let length = 0
  /** Index of the next byte. */
  let writeAt = 0
  let droppedBytes = 0

  function inOrder(): Buffer {
    const older = length === ring.length ? ring.subarray(writeAt) : new Uint8Array(0)
    return Buffer.concat([older, ring.subarray(0, writeAt)])
  }

  /** Grows the ring, if it is not full yet: its bytes begin at 0 until then. */
  function reserve(wanted: number): void {
    if (wanted <= ring.length || ring.length === mostBytes) return
    const held = inOrder()
    const least = Math.min(mostBytes, FIRST_BYTES)
    const smallest = Math.max(least, ring.length)
    let size = Math.min(mostBytes, Math.max(least, wanted, ring.length * 2))
    while (size > smallest && !mayHold(size)) {
      size = Math.max(smallest, Math.floor(size / 2))
      mostBytes = size
    }
    if (size === ring.length) return
    ring = new Uint8Array(size)
    ring.set(held)
    writeAt = held.length
  }

  return {
    get droppedBytes() {
      return droppedBytes
    },
    push(bytes) {
      reserve(Math.min(mostBytes, length + bytes.length))
      const kept = bytes.subarray(Math.max(0, bytes.length - mostBytes))
      droppedBytes += Math.max(0, length + bytes.length - mostBytes)
      if (kept.length === 0) return
      const untilWrap = kept.subarray(0, ring.length - writeAt)
      ring.set(untilWrap, writeAt)
      ring.set(kept.subarray(untilWrap.length), 0)
      writeAt = (writeAt + kept.length) % ring.length
      length = Math.min(ring.length, length + kept.length)
    },
    bytes: inOrder,
    take() {
      const isWrapped = length === ring.length && writeAt > 0
      const bytes = isWrapped ? inOrder() : asBuffer(ring.subarray(0, length))
      ring = new Uint8Array(0)
      length = 0
      writeAt = 0
      return bytes
    },
  }
}
