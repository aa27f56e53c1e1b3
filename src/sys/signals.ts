/**
 * The signals that guestd ignores. Importing this file ignores them. The program imports it first, because by default
 * they end it, and SIGUSR1 opens Node's inspector. Commands do not inherit this: a launch resets every signal.
 */
import { constants } from 'node:os'
import { native } from './native.ts'

/** Each of these ends a process by default. At its start Node resets the signals up to 31 that its parent ignores. */
const IGNORED = [
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGSTKFLT',
  'SIGXCPU',
  'SIGVTALRM',
  'SIGPROF',
  'SIGIO',
] as const
/** signal(7): glibc uses 32 and 33 for its threads; the rest is for programs. */
const FIRST_REALTIME = 32
const LAST_REALTIME = native.constants.lastSignal

/** Each of these starts the stop. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPWR'] as const

const realtime = Array.from(
  { length: LAST_REALTIME - FIRST_REALTIME + 1 },
  (_, index) => FIRST_REALTIME + index,
)
native.ignoreSignals([...IGNORED.map(name => constants.signals[name]), ...realtime])
