/** Gives back what a time of work has left behind, once it is over. */

export interface Tidying {
  /** To be called at each end of something, such as a command. */
  worked(): void
  stop(): void
}

/**
 * After so long without work, in milliseconds: V8 has given its own pages back by then, which
 * it does some 10 s after it has become idle, and what it had of the C library is free.
 */
const QUIET_MS = 30_000

export function createTidying(trim: () => void): Tidying {
  let timer: NodeJS.Timeout | undefined
  return {
    worked() {
      timer ??= setTimeout(() => {
        timer = undefined
        trim()
      }, QUIET_MS).unref()
      timer.refresh()
    },
    stop: () => clearTimeout(timer),
  }
}
