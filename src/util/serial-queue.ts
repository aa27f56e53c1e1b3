/** Runs the work after all work that was queued before it. Resolves and rejects as the work does. */
export type SerialQueue = <T>(work: () => T | PromiseLike<T>) => Promise<T>

/** Runs asynchronous work one piece at a time, in the order of the calls. A failure does not stop the queue. */
export function createSerialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve()
  return work => {
    const done = last.then(work)
    last = done.catch(() => {})
    return done
  }
}
