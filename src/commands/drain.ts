/** After a command's exit: what it left in its pipes is read, though a descendant holds them open. */
import type { Hold } from './hold.ts'
import type { OutputLog } from './output-log.ts'

/** What is in the pipes at the exit is drained for at most this long before `end`. */
const LIMIT_MS = 250
/** Pipes that gave nothing for so long are drained: enough for a `> >(tee …)` to write what it has read. */
const QUIET_MS = 50

export interface DrainOptions {
  readonly log: OutputLog
  readonly hold: Hold
  /** The pipes have ended in between: nothing is left to wait for. */
  readonly isOver: () => boolean
  readonly drained: () => void
}

/** A starter that reads slowly is waited for: only time in which the pipes are read counts. */
export function drain(options: DrainOptions, spentMs = 0): void {
  const { log, hold, isOver, drained } = options
  const before = log.end
  const heldBefore = hold.paused
  const look = () => {
    if (isOver()) return
    const held = heldBefore || hold.paused
    const spent = held ? spentMs : spentMs + QUIET_MS
    const quiet = !held && log.end === before
    if (quiet || spent >= LIMIT_MS) drained()
    else drain(options, spent)
  }
  // On a busy loop timers come due before the pipes have been looked at: setImmediate comes after.
  setTimeout(() => setImmediate(look), QUIET_MS)
}
