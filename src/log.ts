/**
 * The log: one JSON object a line on stdout, with the time in ISO 8601 and the name of the level.
 *
 * Callers never log values of environments, and log the text of commands only with `logCommands`.
 */

import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import type { LogLevel } from './config/types.ts'
import type { LogRing } from './log-ring.ts'

export type Log = Logger

export interface RootLog extends Log {
  /** Resolves once stdout has taken the last line. It does not resolve while stdout is stalled. */
  written(): Promise<void>
}

/**
 * Most bytes of lines that wait in memory while stdout is stalled. Further lines are dropped and counted. A stalled
 * console must never stall guestd.
 */
const MAX_WAITING_BYTES = 1024 * 1024

const STDOUT_FD = 1

/**
 * Creates the root of the log; `log.child({ component })` names a part of guestd.
 *
 * Waiting lines are written when the process exits normally. If stdout fails, the lines wait, and are lost at the exit.
 */
export function createLog(options: {
  readonly level: LogLevel
  readonly fd?: number
  /** Gets each line before stdout does. */
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

/** pino writes one line at a time, and calls `flushSync` after a line of the level `fatal`. */
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
  // Registered before the flush of the stream, so it runs before it: that flush would repeat a failing write for ever.
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
