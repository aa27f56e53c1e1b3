/**
 * The log: one JSON object a line on stdout, with the time in ISO 8601 and the level as a word.
 *
 * Callers keep values of environments out of it, and the text of commands unless `logCommands` says
 * so: what is never handed over cannot leak.
 */

import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import type { LogLevel } from './config/types.ts'
import type { LogRing } from './log-ring.ts'

export type Log = Logger

export interface RootLog extends Log {
  /** Resolves once stdout has taken what was logged last; never, while it takes nothing. */
  written(): Promise<void>
}

/**
 * Lines wait in memory while stdout does not take them, at most 1 MiB; more are dropped and counted.
 * A console that stalls must never stall guestd, so nothing waits for it.
 */
const MAX_WAITING_BYTES = 1024 * 1024

const STDOUT_FD = 1

/**
 * Makes the root of the log; `log.child({ component })` names a part of guestd.
 *
 * Waiting lines are written out when the process exits in the regular way. Errors of stdout itself
 * have nowhere to be told: the lines stay waiting, and are given up at the exit.
 */
export function createLog(options: {
  readonly level: LogLevel
  readonly fd?: number
  /** Gets each line too, before stdout does. */
  readonly ring?: LogRing
}): RootLog {
  const stream = createStream(options.fd ?? STDOUT_FD)
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    options.ring === undefined ? stream : alsoTo(options.ring, stream),
  )
  let dropped = 0
  stream.on('drop', () => {
    dropped += 1
  })
  stream.on('drain', () => {
    if (dropped === 0) return
    const lines = dropped
    dropped = 0
    log.warn({ component: 'log', lines }, 'lines were dropped while stdout did not take them')
  })
  const written = () => new Promise<void>(resolve => stream.once('drain', resolve))
  return Object.assign(log, { written })
}

/** As pino writes: a line at a time, and `flushSync` after one of the level `fatal`. */
function alsoTo(ring: LogRing, stream: LogStream): DestinationStream & { flushSync(): void } {
  return {
    write(line) {
      ring.write(line)
      stream.write(line)
    },
    flushSync: () => stream.flushSync(),
  }
}

type LogStream = ReturnType<typeof destination>

function createStream(fd: number): LogStream {
  let stream: LogStream | undefined
  let failing = false
  // Runs before the stream's own flush at exit, as it is registered before it: that flush would
  // repeat a write that fails for ever.
  process.once('exit', () => {
    if (failing) stream?.destroy()
  })
  stream = destination({ dest: fd, sync: false, maxLength: MAX_WAITING_BYTES })
  stream.on('error', () => {
    failing = true
  })
  stream.on('write', () => {
    failing = false
  })
  return stream
}
