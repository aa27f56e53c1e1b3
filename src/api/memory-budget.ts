/** Bounds the memory of all requests together that each may need much of, such as bodies that are not complete. */

/** This much of each share does not count: those that hold much cannot keep out an ordinary request. */
export const FREE_BYTES = 16 * 1024

/** What one request holds. */
export interface MemoryShare {
  /** Sets how many bytes it holds now; `false`: the budget does not allow it, and nothing changes. */
  hold(bytes: number): boolean
  /** Gives all of it back. Idempotent. */
  release(): void
}

export interface MemoryBudget {
  open(): MemoryShare
}

/** @param limit most bytes of all shares together, beside their free parts */
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
