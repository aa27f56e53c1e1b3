/** Ends the processes of a command: SIGTERM first, then SIGKILL until none is left. */
import { constants } from 'node:os'
import type { Containment } from './containment.ts'

/** First and longest pause between two checks whether the kill has emptied the containment. */
const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 50
/** A process that survives SIGKILL for this long is stuck in the kernel. */
const STUCK_MS = 2_000
/** Longest pause for a stuck process: it may stay for hours. */
const LONGEST_STUCK_PAUSE_MS = 1_000

/**
 * Repeats SIGKILL until no process is left. Resolves only then: a process in uninterruptible sleep
 * delays it for as long as the kernel does.
 */
export async function killUntilEmpty(
  containment: Pick<Containment, 'kill' | 'isEmpty'>,
): Promise<void> {
  const beganAt = performance.now()
  let pause = FIRST_PAUSE_MS
  for (;;) {
    containment.kill()
    if (containment.isEmpty()) return
    await new Promise(resolve => setTimeout(resolve, pause))
    const isStuck = performance.now() - beganAt > STUCK_MS
    pause = Math.min(pause * 2, isStuck ? LONGEST_STUCK_PAUSE_MS : LONGEST_PAUSE_MS)
  }
}

/** SIGTERM to all processes. SIGCONT goes along, so that a stopped process can act on the SIGTERM. */
export function terminate(containment: Pick<Containment, 'signalAll'>): void {
  containment.signalAll(constants.signals.SIGTERM)
  containment.signalAll(constants.signals.SIGCONT)
}
