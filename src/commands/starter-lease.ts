/**
 * The starter's role: lossless for the one who started the command.
 *
 * While the role is held, the pipes are paused once the holder lags by the full mark, and resumed
 * once it is back at half of it. A holder that is cut leaves the role open for a grace, in which
 * the command stays held at the full mark; after that, and for a detached command, nothing pauses.
 */
export interface StarterLease {
  /** The reader at `cursor()` takes the role over from whoever has it. */
  take(cursor: () => number): void
  /**
   * The reader at this cursor was cut: if it is the holder, the grace begins. False when the role
   * was never its own, or has been taken over.
   */
  cut(cursor: () => number): boolean
  /** The holder at this cursor has read all that it will: the role is free. */
  done(cursor: () => number): void
  /** Compares the holder's place with the log's end, and pauses or resumes. */
  check(): void
  /** The cursor from which on somebody counts on every byte; `null` when nobody does. */
  readonly place: number | null
  readonly paused: boolean
  /** Ends the role for good: nothing pauses any more. */
  release(): void
}

export interface LeaseOptions {
  /** Bytes of the log from a cursor on, with what their segments cost. */
  readonly lagFrom: (cursor: number) => number
  /** Bytes of what the holder may lag behind, in bytes. */
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

  const letGo = () => {
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
      grace = setTimeout(letGo, options.graceMs)
      check()
      return true
    },
    done(cursor) {
      if (holder === cursor) letGo()
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
      letGo()
    },
  }
}
