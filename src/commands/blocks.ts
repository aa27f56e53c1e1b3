/** The memory that holds output: blocks that are reused, so that a stream leaves no garbage. */

export interface Block {
  readonly bytes: Uint8Array
  /** How many segments of a log lie in it. */
  segments: number
  /** How many readers may still use its bytes. It is reused only when there is none. */
  lenders: number
  /** No log uses it any more. */
  isDropped: boolean
}

export interface BlockPool {
  /** Size of the blocks that are reused, in bytes. */
  readonly blockBytes: number
  /** @param bytes at most {@link blockBytes}; a smaller block is not reused */
  take(bytes: number): Block
  /** The log does not use it any more. */
  drop(block: Block): void
  /** A reader does not use its bytes any more. */
  giveBack(block: Block): void
  /** Frees half of the blocks that were not needed since the last call. To be called periodically. */
  trim(): void
  /** Frees all blocks that are not in use. */
  clear(): void
  readonly freeBytes: number
}

/** @param mostFreeBytes bound of the free blocks in bytes, called whenever a block becomes free */
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
