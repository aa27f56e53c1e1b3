/** Repeats work that many callers ask for, such as a flush: one run at a time, and one run for all who wait. */

export interface SharedRun<T> {
  /**
   * Starts a run. While a run is under way, all callers share one run that starts after it: the run under way may
   * have missed what they ask for. Resolves and rejects as the run does.
   *
   * @param work the first caller of a shared run decides what it does
   */
  run(work: () => Promise<T>): Promise<T>
  /** A run is under way. */
  readonly isRunning: boolean
  /** Resolves once no run is under way and none is queued. Never rejects. */
  settled(): Promise<void>
}

export function createSharedRun<T>(): SharedRun<T> {
  let current: Promise<T> | null = null
  let next: Promise<T> | null = null

  const start = (work: () => Promise<T>): Promise<T> => {
    const run = work().finally(() => {
      current = null
    })
    current = run
    return run
  }

  return {
    run(work) {
      if (next !== null) return next
      if (current === null) return start(work)
      next = current
        .catch(() => {})
        .then(() => {
          next = null
          return start(work)
        })
      return next
    },
    get isRunning() {
      return current !== null
    },
    async settled() {
      while (current !== null || next !== null) await (next ?? current)?.catch(() => {})
    },
  }
}
