/** The exit code that guestctl ends with. */

import type { ExitFacts } from '../protocol/frames.ts'
import { signalNumber } from './values.ts'

/** The same codes as those of timeout(1), docker run and the shell. */
export const exitCodes = {
  ok: 0,
  timeout: 124,
  /** An error of guestd or guestctl, such as a wrong command line. */
  ownError: 125,
  cannotExecute: 126,
  notFound: 127,
  /** 128 and SIGKILL. */
  killed: 137,
  /** 128 and SIGPIPE: the reader of the output has closed it. */
  outputClosed: 141,
} as const

const SIGNALLED = 128

/** The exit code of `guestctl run` after the end of its command. */
export function exitCodeOf(facts: ExitFacts): number {
  switch (facts.cause) {
    case 'exit':
    case 'signal':
      return facts.exitCode ?? bySignal(facts.signal)
    case 'timeout':
      return exitCodes.timeout
    case 'spawn':
      return isNotFound(facts) ? exitCodes.notFound : exitCodes.cannotExecute
    case 'lost':
      return exitCodes.ownError
    case 'oom':
    case 'killed':
      return exitCodes.killed
    case 'quota':
    case 'stopped':
    case 'disconnected':
      return bySignal(facts.signal)
  }
}

/** 128 + n. A signal without a known number counts as SIGKILL, with which guestd ends commands. */
export function bySignal(name: string | null): number {
  const number = name === null ? null : signalNumber(name)
  return number === null ? exitCodes.killed : SIGNALLED + number
}

function isNotFound({ stage, errno }: ExitFacts): boolean {
  return stage === 'exec' && errno === 'ENOENT'
}
