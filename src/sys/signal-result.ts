/** The result of a signal. */
import { errorCode } from '../util/error-code.ts'

/**
 * `gone`: the process has exited. `denied`: it runs, but guestd is not allowed to signal it (EPERM). `unreached`: the
 * processes are not known, or no descriptor is free for a pidfd.
 */
export type SignalResult = 'sent' | 'gone' | 'denied' | 'unreached'

/** From best to worst. For several processes the worst result counts. */
const ORDER: readonly SignalResult[] = ['gone', 'sent', 'denied', 'unreached']

export function worstOf(results: readonly SignalResult[]): SignalResult {
  return ORDER.findLast(result => results.includes(result)) ?? 'gone'
}

/** The result of a system call that sends a signal, or opens a pidfd for it. */
export function signalResult(call: () => unknown): SignalResult {
  try {
    call()
    return 'sent'
  } catch (error) {
    return failureOf(error)
  }
}

/** ESRCH: the process has exited. EINVAL: the pid is that of a thread now, so the process has exited too. */
export function failureOf(error: unknown): SignalResult {
  const code = errorCode(error)
  if (code === 'ESRCH' || code === 'EINVAL' || code === 'ENOENT') return 'gone'
  return code === 'EPERM' ? 'denied' : 'unreached'
}
