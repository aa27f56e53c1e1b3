/** What the registry makes a command with, and what it sees of it. */
import type { Cause, EndFacts, ExitFacts } from '../protocol/frames.ts'
import type { RunRequest } from '../protocol/schemas.ts'
import type { Budget } from './budget.ts'
import type { OutputSettings } from './command-output.ts'
import type { Containment } from './containment.ts'
import type { Ended } from './ended-command.ts'
import type { Plan } from './plan.ts'
import type { Command } from './types.ts'

export interface CommandSettings extends OutputSettings {
  readonly killGraceMs: number
  readonly timeoutMs: number
  /** How long a writer to standard input may send nothing before another takes its turn. */
  readonly stdinSilenceMs: number
}

export interface CommandOptions {
  readonly id: string
  readonly request: RunRequest
  readonly plan: Plan
  readonly containment: Containment
  readonly budget: Budget
  readonly settings: CommandSettings
  readonly events: CommandEvents
}

export interface CommandEvents {
  readonly launched: (pid: number, startTime: number | null) => void
  /** The process has exited; its pipes are still open, and the end is not known yet. */
  readonly exited: (exit: ExitFacts, soFar: Omit<EndFacts, 'truncated'>) => void
  /** The process has exited and its pipes are drained; no reader knows yet. */
  readonly ended: (exit: ExitFacts, end: Omit<EndFacts, 'truncated'>) => void
  /** Its readers know of the end. */
  readonly announced: () => void
  /** Ended, no descendant is left, every pipe is closed: nothing will happen any more. */
  readonly settled: () => void
  /** What of the workspace was seen full since then, of `performance.now()`. */
  readonly workspaceFull: (since: number) => ExitFacts['workspaceFull']
}

/** A command as the registry sees it. */
export interface ManagedCommand extends Command {
  readonly containment: Containment
  readonly settled: boolean
  readonly endedAt: string | null
  /**
   * @throws GuestdError `cwd_not_found`, `cwd_not_directory`: nothing was launched, and the command
   * is to be forgotten. A launch that fails later resolves: the command has ended.
   */
  launch(): Promise<void>
  /**
   * Ends it for this reason, unless it is ending already: SIGTERM, the grace, SIGKILL. Descendants
   * of one that has ended are ended too, and nothing waits for a slow starter any more.
   */
  stop(cause: Cause): void
  /** Cuts the grace of an end under way short. */
  hurry(): void
  /** Looks whether the last descendant has gone. */
  settle(): void
  /**
   * What is to be kept of it in its place, once it is settled and nobody reads it; `null` before. It is not
   * to be used any more then.
   */
  retire(): Ended | null
  /** Gives its memory back. */
  discard(): void
}
