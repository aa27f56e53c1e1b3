/** Children that guestd has not started: a command can create some, and as PID 1 guestd gets all orphans. */
import { native } from './native.ts'

/**
 * Reaps them from now on: within a second of their exit, or later when thousands exit in a second. It never reaps
 * commands, or programs that guestd runs.
 */
export function reapOrphans(): void {
  native.reapOrphans()
}
