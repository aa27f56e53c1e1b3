/** Children that are not ours: a command can leave some to guestd, and so can any process where guestd is PID 1. */
import { native } from './native.ts'

/**
 * Reaps them from now on, within a second of their exit, or later where there are more than some thousand a second.
 * The exits of commands and of programs that guestd runs are left alone.
 */
export function reapOrphans(): void {
  native.reapOrphans()
}
