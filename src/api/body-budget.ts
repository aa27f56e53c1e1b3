/** Bounds the memory of all JSON bodies that have not arrived in full. */

/** Most bytes that unfinished bodies hold together, over all listeners, beside their free parts. */
export const MAX_UNFINISHED_BYTES = 16 * 1024 * 1024

/**
 * This much of each body does not count: slow senders of large bodies cannot keep out an ordinary
 * request. `maxConnections` bounds how often it is taken.
 */
export const FREE_BYTES = 16 * 1024

/** The share of one body. */
export interface BodyShare {
  /** Sets how many bytes the body holds now; `false`: the budget does not allow it. */
  hold(bytes: number): boolean
  /** Gives all of it back. Idempotent. */
  release(): void
}

export interface BodyBudget {
  open(): BodyShare
}

export function createBodyBudget(limit = MAX_UNFINISHED_BYTES): BodyBudget {
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
