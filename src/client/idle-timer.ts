/** A timer for silence. Time in which this process was stopped, as by Ctrl-Z, is no silence. */

export interface IdleTimer {
  /** Something arrived: the count starts again. It also restarts a timer that has fired. */
  refresh(): void
  stop(): void
}

/** The timer wakes so often within its limit; a wake-up that comes a whole part late shows a stop. */
const PARTS = 10

/**
 * @param limitMs in milliseconds; 0: it never fires
 * @param onIdle called once after so much silence. A process that continues after a stop has one part of
 * the limit to read what is in its sockets.
 */
export function createIdleTimer(limitMs: number, onIdle: () => void): IdleTimer {
  if (limitMs === 0) return { refresh: () => {}, stop: () => {} }
  const partMs = limitMs / PARTS
  let parts = 0
  let wasLate = false
  let isStopped = false
  let wokeAt = performance.now()

  // The socket keeps the process, not the timer of frames that are left unread.
  const timer = setTimeout(() => {
    const now = performance.now()
    const isLate = now - wokeAt > 2 * partMs
    wokeAt = now
    // An event loop that is always late still comes to the limit, at half the speed.
    if (isLate && !wasLate) {
      wasLate = true
    } else {
      wasLate = false
      parts += 1
    }
    if (parts >= PARTS) onIdle()
    else timer.refresh()
  }, partMs).unref()

  return {
    refresh: () => {
      // Node would start a timer again that was cleared.
      if (isStopped) return
      parts = 0
      wokeAt = performance.now()
      timer.refresh()
    },
    stop: () => {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
