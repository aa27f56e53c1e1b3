/** Ending a command: politely first, then for certain. */
import { constants } from 'node:os'
import type { Containment } from './containment.ts'

/** First and longest pause between two looks at whether the kill has emptied the containment. */
const FIRST_LOOK_MS = 1
const LONGEST_LOOK_MS = 50
/** A process that has outlived a kill for so long is stuck in the kernel. */
const STUCK_MS = 2_000
/** Longest pause then: who asked for the kill may be gone long before that process is. */
const LONGEST_STUCK_LOOK_MS = 1_000

/**
 * SIGKILL to all, again and again, until nobody is left. Resolves only then: a process in
 * uninterruptible sleep holds it up for as long as the kernel does.
 */
export async function killUntilEmpty(
  containment: Pick<Containment, 'kill' | 'isEmpty'>,
): Promise<void> {
  const beganAt = performance.now()
  let pause = FIRST_LOOK_MS
  for (;;) {
    containment.kill()
    if (containment.isEmpty()) return
    await new Promise(resolve => setTimeout(resolve, pause))
    const isStuck = performance.now() - beganAt > STUCK_MS
    pause = Math.min(pause * 2, isStuck ? LONGEST_STUCK_LOOK_MS : LONGEST_LOOK_MS)
  }
}

/** SIGTERM to all processes. SIGCONT goes along, so that a stopped process can act on the SIGTERM. */
export function terminate(containment: Pick<Containment, 'signalAll'>): void {
  containment.signalAll(constants.signals.SIGTERM)
  containment.signalAll(constants.signals.SIGCONT)
}
