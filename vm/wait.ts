/** Polls for a state of another program that sends no notification. */

import { setTimeout as sleep } from 'node:timers/promises'

export interface WaitOptions {
  /** For the error: what is waited for. */
  what: string
  limitMs: number
  pollMs: number
  /** Settles if the program ends, which ends the wait. */
  exited: Promise<string>
}

/** Asks until the answer is yes. @throws Error when the limit is reached or the program has ended */
export async function until(ask: () => Promise<boolean>, options: WaitOptions): Promise<void> {
  const { what, limitMs, pollMs, exited } = options
  let ended: string | undefined
  const end = exited.then(how => {
    ended = how
  })
  const startedAt = performance.now()
  while (!(await Promise.race([ask(), end]))) {
    if (ended !== undefined) throw new Error(`waiting for ${what}: the program ended with ${ended}`)
    if (performance.now() - startedAt > limitMs) {
      throw new Error(`waiting for ${what}: not within ${limitMs / 1000} s`)
    }
    await Promise.race([sleep(pollMs), end])
  }
}
