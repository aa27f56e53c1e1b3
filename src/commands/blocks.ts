/** The memory that output is held in: blocks that are used again, so that a stream leaves no garbage behind. */

export interface Block {
  readonly bytes: Uint8Array
  /** Parts of it that a log holds. */
  segments: number
  /** Readers that may still use bytes of it: only without them is it used again. */
  lenders: number
  /** No log holds it any more. */
  isDropped: boolean
}

export interface BlockPool {
  /** Size of the blocks that are used again, in bytes. */
  readonly blockBytes: number
  /** At most {@link blockBytes}: a smaller one is not used again. */
  take(bytes: number): Block
  /** No log holds it any more. */
  drop(block: Block): void
  /** A reader uses bytes of it no longer. */
  giveBack(block: Block): void
  /** Frees half of the blocks that were not needed since the last call. Called once in a while. */
  trim(): void
  /** Frees all blocks that are not in use. */
  clear(): void
  readonly freeBytes: number
}

/** @param mostFreeBytes bound of the blocks that wait to be used again, asked for whenever one is dropped */
export function createBlockPool(
  blockBytes: number,
  mostFreeBytes: (blockBytes: number) => number,
): BlockPool {
  let free: Block[] = []
  let leastFree = 0

  const recycle = (block: Block) => {
    if (!block.isDropped || block.lenders > 0 || block.bytes.length !== blockBytes) return
    if ((free.length + 1) * blockBytes <= mostFreeBytes(blockBytes)) free.push(block)
  }

  return {
    blockBytes,
    take(bytes) {
      const again = bytes === blockBytes ? free.pop() : undefined
      leastFree = Math.min(leastFree, free.length)
      if (again === undefined)
        return { bytes: Buffer.allocUnsafeSlow(bytes), segments: 0, lenders: 0, isDropped: false }
      again.isDropped = false
      return again
    },
    drop(block) {
      block.isDropped = true
      recycle(block)
    },
    giveBack(block) {
      block.lenders -= 1
      recycle(block)
    },
    trim() {
      free = free.slice(Math.ceil(leastFree / 2))
      leastFree = free.length
    },
    clear() {
      free = []
      leastFree = 0
    },
    get freeBytes() {
      return free.length * blockBytes
    },
  }
}
