/** Notifies the service manager of the start, the state and the stop of guestd: sd_notify(3). */
import type { Notifier } from '../sys/notify.ts'

export interface Supervision {
  /**
   * Makes the manager wait for a start of at most `limitMs`. The notifications come from the event loop: if the loop
   * hangs, the time limit of the manager ends the start.
   */
  starting(limitMs: number): void
  /** guestd serves. From now on the manager gets `status` when it changes: it is read every 2 s. */
  ready(status: () => string): void
  /**
   * guestd ends within `limitMs`: the manager kills it if it takes longer. A further call sets a new limit, from now on.
   */
  stopping(limitMs: number): void
}

/**
 * Feeds the watchdog from the event loop from now on, so that the manager notices a loop that hangs. Does nothing if no
 * manager listens.
 *
 * @param watchdogMs period of the watchdog; null: none
 */
export function createSupervision(notifier: Notifier, watchdogMs: number | null): Supervision {
  if (!notifier.present) return { starting() {}, ready() {}, stopping() {} }
  let extension: NodeJS.Timeout | undefined
  let statusTimer: NodeJS.Timeout | undefined
  let sent = ''
  let ending = false

  if (watchdogMs !== null)
    every(watchdogMs / FEEDS_A_PERIOD, () => notifier.send({ WATCHDOG: '1' }))

  const extend = (limitMs: number) => {
    clearInterval(extension)
    const end = performance.now() + limitMs
    const extendOnce = () => {
      const left = Math.min(EXTENSION_MS, end - performance.now())
      if (left > 0) notifier.send({ EXTEND_TIMEOUT_USEC: String(Math.ceil(left * US_PER_MS)) })
      else clearInterval(extension)
    }
    extension = every(EXTEND_MS, extendOnce)
    extendOnce()
  }

  return {
    starting(limitMs) {
      notifier.send({ STATUS: 'Starting' })
      extend(limitMs)
    },
    ready(status) {
      clearInterval(extension)
      sent = attempt(status) ?? ''
      notifier.send({ READY: '1', STATUS: sent })
      statusTimer = every(STATUS_MS, () => {
        const now = attempt(status) ?? sent
        if (now === sent) return
        sent = now
        notifier.send({ STATUS: now })
      })
    },
    stopping(limitMs) {
      clearInterval(statusTimer)
      if (!ending)
        notifier.send({ STOPPING: '1', STATUS: 'Stopping: the commands are being ended' })
      ending = true
      extend(limitMs)
    },
  }
}

/** sd_watchdog_enabled(3) recommends half of the period. With a third, one lost message does no harm. */
const FEEDS_A_PERIOD = 3
/** Interval of the checks of the status, in milliseconds. */
const STATUS_MS = 2_000
/** How far each notification extends the time limit of a start or a stop, in milliseconds. */
const EXTENSION_MS = 10_000
/** Interval of the extensions, in milliseconds. */
const EXTEND_MS = 3_000
const US_PER_MS = 1_000

/** A status that cannot be read must not end guestd: the manager would start it again and again. */
function attempt(status: () => string): string | null {
  try {
    return status()
  } catch {
    return null
  }
}

function every(intervalMs: number, call: () => void): NodeJS.Timeout {
  return setInterval(call, intervalMs).unref()
}
