/** What became of a signal. */

/**
 * `gone`: there is no such process any more. `denied`: guestd may not signal it (EPERM): it lives. `unreached`: it is
 * not known who should get it, or there is no descriptor to name them by.
 */
export type SignalResult = 'sent' | 'gone' | 'denied' | 'unreached'

/** From best to worst: of a signal to many the worst counts. */
const ORDER: readonly SignalResult[] = ['gone', 'sent', 'denied', 'unreached']

export function worstOf(results: readonly SignalResult[]): SignalResult {
  return ORDER.findLast(result => results.includes(result)) ?? 'gone'
}

/** Of a system call that sends one, or names who gets it. */
export function signalResult(call: () => unknown): SignalResult {
  try {
    call()
    return 'sent'
  } catch (error) {
    return failureOf(error)
  }
}

/** ESRCH: it has exited; EINVAL: the pid names a thread, so the process of that pid has. */
export function failureOf(error: unknown): SignalResult {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  if (code === 'ESRCH' || code === 'EINVAL' || code === 'ENOENT') return 'gone'
  return code === 'EPERM' ? 'denied' : 'unreached'
}
