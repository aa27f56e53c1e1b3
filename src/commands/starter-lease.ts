/**
 * The starter's role: the reader that started the command loses no byte.
 *
 * While a reader has the role, the pipes are paused once it lags by the full mark, and resumed once it lags by half of
 * that. When its connection is cut the role stays open for a grace, in which the command waits at the full mark. After
 * that, and for a detached command, the pipes are never paused.
 */
export interface StarterLease {
  /** The reader at `cursor()` takes the role, also from another reader. */
  take(cursor: () => number): void
  /**
   * The connection of the reader at this cursor was cut: if it has the role, the grace begins. False when it
   * never had the role, or another reader took it.
   */
  cut(cursor: () => number): boolean
  /** The reader at this cursor has read everything: if it has the role, the role is free. */
  done(cursor: () => number): void
  /** Compares the reader's cursor with the end of the log, and pauses or resumes the pipes. */
  check(): void
  /** The cursor from which on the starter must receive every byte; `null` when the role is free. */
  readonly place: number | null
  readonly paused: boolean
  /** Ends the role for good: the pipes are never paused again. */
  release(): void
}

export interface LeaseOptions {
  /** Bytes of the log from a cursor on, and the memory of their segments. */
  readonly lagFrom: (cursor: number) => number
  /** Lag at which the pipes are paused, in bytes. */
  readonly fullMark: number
  readonly graceMs: number
  readonly pause: () => void
  readonly resume: () => void
}

export function createStarterLease(options: LeaseOptions): StarterLease {
  let holder: (() => number) | null = null
  let grace: NodeJS.Timeout | undefined
  let paused = false
  let released = false

  const check = () => {
    const lag = holder === null ? 0 : options.lagFrom(holder())
    if (!paused && lag >= options.fullMark) {
      paused = true
      options.pause()
    } else if (paused && lag <= options.fullMark / 2) {
      paused = false
      options.resume()
    }
  }

  const free = () => {
    clearTimeout(grace)
    holder = null
    check()
  }

  return {
    take(cursor) {
      if (released) return
      clearTimeout(grace)
      holder = cursor
      check()
    },
    cut(cursor) {
      if (holder !== cursor) return false
      const place = cursor()
      holder = () => place
      clearTimeout(grace)
      grace = setTimeout(free, options.graceMs)
      check()
      return true
    },
    done(cursor) {
      if (holder === cursor) free()
    },
    check,
    get place() {
      return holder === null ? null : holder()
    },
    get paused() {
      return paused
    },
    release() {
      released = true
      free()
    },
  }
}
