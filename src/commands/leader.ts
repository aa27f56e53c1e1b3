import type { SignalResult } from '../sys/signal-result.ts'

/** The first process of a command. */
export interface Leader {
  readonly pid: number
  /** False once it has exited. */
  readonly alive: boolean
  /** By its pidfd, wherever it has gone. */
  signal(signal: number): SignalResult
}
