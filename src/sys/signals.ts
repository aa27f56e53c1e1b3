/**
 * Which signals guestd ignores. Importing this file ignores them: the program imports it before
 * everything else, because until then their default ends it, and SIGUSR1 opens Node's inspector.
 * Commands never inherit this: a launch resets every signal.
 */
import { constants } from 'node:os'
import { native } from './native.ts'

/** By default each of these ends a process. Node resets what a parent ignores, up to signal 31. */
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
/** signal(7): 32 and 33 belong to the threads of the C library, the rest to programs. */
const FIRST_REALTIME = 32
const LAST_REALTIME = native.constants.lastSignal

/** Each of these starts the stop. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPWR'] as const

const realtime = Array.from(
  { length: LAST_REALTIME - FIRST_REALTIME + 1 },
  (_, index) => FIRST_REALTIME + index,
)
native.ignoreSignals([...IGNORED.map(name => constants.signals[name]), ...realtime])
