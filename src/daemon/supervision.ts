/** guestd as a service: what its manager hears of it, from the start to the end. */
import type { Notifier } from '../sys/notify.ts'

export interface Supervision {
  /**
   * Has the manager wait for a start that may take up to `limitMs` in all. The manager hears of it
   * from the event loop: a start that hangs there is ended by the manager's own limit.
   */
  starting(limitMs: number): void
  /** guestd serves. From now on the manager sees `status` as one line, looked at every 2 s. */
  ready(status: () => string): void
  /**
   * guestd will end, within `limitMs`. A manager takes it at its word: it kills what stays longer.
   * Called again, the new limit counts, from now on.
   */
  stopping(limitMs: number): void
}

/**
 * Feeds the watchdog from the event loop from now on, so that a loop that hangs is noticed. Where no
 * manager listens it does nothing.
 *
 * @param watchdogMs how often the manager wants to hear of guestd; null: it does not
 */
export function createSupervision(notifier: Notifier, watchdogMs: number | null): Supervision {
  if (!notifier.present) return { starting() {}, ready() {}, stopping() {} }
  let extending: NodeJS.Timeout | undefined
  let telling: NodeJS.Timeout | undefined
  let sent = ''
  let ending = false

  if (watchdogMs !== null)
    every(watchdogMs / FEEDS_A_PERIOD, () => notifier.send({ WATCHDOG: '1' }))

  const extend = (limitMs: number) => {
    clearInterval(extending)
    const end = performance.now() + limitMs
    const tellOnce = () => {
      const left = Math.min(EXTENSION_MS, end - performance.now())
      if (left > 0) notifier.send({ EXTEND_TIMEOUT_USEC: String(Math.ceil(left * US_PER_MS)) })
      else clearInterval(extending)
    }
    extending = every(EXTEND_MS, tellOnce)
    tellOnce()
  }

  return {
    starting(limitMs) {
      notifier.send({ STATUS: 'Starting' })
      extend(limitMs)
    },
    ready(status) {
      clearInterval(extending)
      sent = attempt(status) ?? ''
      notifier.send({ READY: '1', STATUS: sent })
      telling = every(STATUS_MS, () => {
        const now = attempt(status) ?? sent
        if (now === sent) return
        sent = now
        notifier.send({ STATUS: now })
      })
    },
    stopping(limitMs) {
      clearInterval(telling)
      if (!ending)
        notifier.send({ STOPPING: '1', STATUS: 'Stopping: the commands are being ended' })
      ending = true
      extend(limitMs)
    },
  }
}

/** sd_watchdog_enabled(3) advises half of the period; a third stands one loss. */
const FEEDS_A_PERIOD = 3
/** How often the status is looked at, in milliseconds; it is sent when it has changed. */
const STATUS_MS = 2_000
/** How much longer each extension makes a start or a stop, in milliseconds. */
const EXTENSION_MS = 10_000
/** How often it is extended, in milliseconds. */
const EXTEND_MS = 3_000
const US_PER_MS = 1_000

/** A status that cannot be read does not end guestd: a manager would start it again and again. */
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
