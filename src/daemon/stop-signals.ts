/** The signals that stop guestd. They are caught before anything is opened. */
import { STOP_SIGNALS } from '../sys/signals.ts'

export interface StopSignals {
  /** Aborted by the first signal. */
  readonly first: AbortSignal
  /**
   * Calls the listener at each signal from now on, and once now if any came before.
   *
   * Call it once.
   */
  listen(listener: () => void): void
}

/** From now on none of the signals ends the process by itself. */
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
