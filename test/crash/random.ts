/** Numbers that look random and are the same for the same seed: mulberry32, with 32 bits of state. */

export interface Random {
  /** From 0 to below 1. */
  next(): number
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number
}

const STEP = 0x6d2b79f5
const RANGE = 2 ** 32
/** Spreads neighbouring streams over all of the state (the golden ratio in 32 bits). */
const SPREAD = 0x9e3779b1

/** @param stream one of many sequences of the same seed */
export function createRandom(seed: number, stream = 0): Random {
  let state = (seed ^ Math.imul(stream + 1, SPREAD)) >>> 0
  const next = () => {
    state = (state + STEP) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / RANGE
  }
  return { next, between: (from, to) => from + Math.floor(next() * (to - from + 1)) }
}
