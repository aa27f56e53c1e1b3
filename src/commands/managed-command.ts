/** A command as the registry makes it and sees it. */
import type { Cause, ExitFacts } from '../protocol/frames.ts'
import type { RunRequest } from '../protocol/schemas.ts'
import type { Budget } from './budget.ts'
import type { OutputSettings } from './command-output.ts'
import type { Containment } from './containment.ts'
import type { Ended } from './ended-command.ts'
import type { EndRecord, PidRecord } from './journal-lines.ts'
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
  readonly cwd: string
  readonly user: string
  readonly containment: Containment
  readonly budget: Budget
  readonly settings: CommandSettings
  readonly events: CommandEvents
}

export interface CommandEvents {
  readonly launched: (process: PidRecord) => void
  /** The process has exited; its pipes are still open, and `end` counts what is known so far. */
  readonly exited: (record: EndRecord) => void
  /** The process has exited and its pipes are drained; no reader knows yet. */
  readonly ended: (record: EndRecord) => void
  /** Its readers know of the end. */
  readonly announced: () => void
  /** Ended, no descendant is left, every pipe is closed: no event follows. */
  readonly settled: () => void
  /** Which resource of the workspace was full at any time since `since`, a `performance.now()` time. */
  readonly workspaceFull: (since: number) => ExitFacts['workspaceFull']
}

export interface ManagedCommand extends Command {
  readonly containment: Containment
  /**
   * @throws GuestdError `cwd_not_found`, `cwd_not_directory`: nothing was launched, and the command
   * is to be forgotten. A launch that fails later resolves: the command has ended.
   */
  launch(plan: Plan): Promise<void>
  /**
   * Ends it for this reason, unless it is ending already: SIGTERM, the grace, SIGKILL. Descendants
   * of a command that has ended are ended too, and a slow starter makes nothing wait any more.
   */
  stop(cause: Cause): void
  /** Cuts the time between SIGTERM and SIGKILL short. */
  skipGrace(): void
  /** Checks whether the last descendant has exited. */
  sweep(): void
  /**
   * What to keep in place of the command once it is settled and has no reader; `null` before. The command may not
   * be used any more then.
   */
  retire(): Ended | null
  /** Frees its memory. */
  discard(): void
}
