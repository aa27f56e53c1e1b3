/** What the registry of commands needs from outside: its settings, and hooks into the session and the workspace. */
import type { EndDetails } from './effective.ts'
import type { CommandSettings } from './managed-command.ts'
import type { PlanSettings } from './plan.ts'
import type { Command } from './types.ts'

export interface RegistrySettings
  extends Omit<PlanSettings, 'env' | 'limits'>,
    Omit<CommandSettings, 'fullMark' | 'pool' | 'ringBytes'> {
  readonly maxCommands: number
  /** Environment and limits of commands that ask for none. The host may change them: called for each command. */
  readonly defaults: () => Pick<PlanSettings, 'env' | 'limits'>
  /** How long the commands may take to end when guestd stops. */
  readonly stopLimitMs: number
  readonly output: {
    readonly ringBytes: number
    readonly totalBytes: number
    readonly keepMs: number
    readonly keepCommands: number
  }
}

export interface RegistryHooks {
  /** Rejects with a GuestdError where the workspace has no room for what a command may write. */
  readonly room: () => Promise<void>
  /** Throws a GuestdError where no command may start in this working directory. */
  readonly admit: (cwd: string) => void
  /** Which resource of the workspace was full at any time since `since`, a `performance.now()` time. */
  readonly workspaceFull: (since: number) => 'bytes' | 'inodes' | null
  /** A command was launched. */
  readonly started: (id: string, user: string) => void
  /** A command ended: once each. */
  readonly ended: (command: Command, details: EndDetails) => void
  /** No process of it is left, and its pipes are closed. */
  readonly settled: () => void
}
