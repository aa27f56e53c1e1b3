/** Bounds the memory that all requests of a kind hold together, such as all incomplete bodies. */

/** Bytes of each share that do not count: large requests can then not block an ordinary one. */
export const FREE_BYTES = 16 * 1024

/** The memory of one request. */
export interface MemoryShare {
  /** Sets how many bytes it holds now. Returns false, and changes nothing, if the budget does not allow it. */
  hold(bytes: number): boolean
  /** Releases all of it. Idempotent. */
  release(): void
}

export interface MemoryBudget {
  open(): MemoryShare
}

/** @param limit most bytes of all shares together, without their free parts */
export function createMemoryBudget(limit: number): MemoryBudget {
  let total = 0
  return {
    open() {
      let counted = 0
      return {
        hold(bytes) {
          const wanted = Math.max(0, bytes - FREE_BYTES)
          if (total - counted + wanted > limit) return false
          total += wanted - counted
          counted = wanted
          return true
        },
        release() {
          total -= counted
          counted = 0
        },
      }
    },
  }
}
