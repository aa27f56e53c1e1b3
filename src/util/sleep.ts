import { setTimeout as wait } from 'node:timers/promises'

export interface SleepOptions {
  /** `false`: the timer does not keep the process alive. Default: true. */
  readonly ref?: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Resolves after `ms` milliseconds.
 *
 * @throws AbortError when the signal is aborted
 */
export async function sleep(ms: number, { ref = true, signal }: SleepOptions = {}): Promise<void> {
  await wait(ms, undefined, signal === undefined ? { ref } : { ref, signal })
}
