/** The signals that ask guestd to stop, heard from before anything is opened. */
import { STOP_SIGNALS } from '../sys/signals.ts'

export interface StopSignals {
  /** Aborted by the first one. */
  readonly first: AbortSignal
  /**
   * Calls the listener at each one from now on, and once now for all that came before.
   *
   * To be called once.
   */
  listen(listener: () => void): void
}

/** From now on none of them ends the process. */
export function openStopSignals(): StopSignals {
  const first = new AbortController()
  let listener = () => {}
  for (const signal of STOP_SIGNALS)
    process.on(signal, () => {
      first.abort()
      listener()
    })
  return {
    first: first.signal,
    listen(given) {
      listener = given
      if (first.signal.aborted) given()
    },
  }
}
