/** The facts of a command's life, as its readers report them: each is set once, in this order. */
import type { EndFacts, ExitFacts } from '../protocol/frames.ts'

export interface Life {
  readonly id: string
  readonly startedAt: string
  readonly cwd: string
  readonly user: string
  /** `null` until the launch, and for good when it failed. */
  pid: number | null
  /** Set when the process has exited, with the log's end at that moment. `at`: ISO 8601, UTC. */
  exit: { readonly facts: ExitFacts; readonly at: string; readonly cursor: number } | null
  /** Set when the pipes have been drained, with the log's end at that moment. */
  end: { readonly facts: Omit<EndFacts, 'truncated'>; readonly cursor: number } | null
  /** Every pipe has reached its end: no byte will enter the log any more. */
  closed: boolean
}
