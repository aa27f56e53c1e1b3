/** What a command of guestctl is made of. */

import type { GuestdClient } from '../client/index.ts'
import type { Sink } from './sink.ts'

/** One row of a command's options: what is parsed, and what `--help` shows. */
export interface OptionRow {
  readonly name: string
  readonly short?: string
  /** What its value is called in help; an option without one is a switch. */
  readonly value?: string
  readonly multiple?: true
  /** A switch that takes this word too, as `--name=WORD`. */
  readonly word?: string
  readonly help: string
}

export interface CliCommand {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** What stands behind the options in the usage line. */
  readonly operands: string
  readonly options: readonly OptionRow[]
  /** Paragraphs below the options. */
  readonly details: string
  /** Until when `--wait` waits; default: until guestd answers. `volume` needs no guest. */
  readonly waitsUntil?: 'ready' | 'answers' | 'nothing'
  /** Options end at the first operand, so that those of a command to run are its own. */
  readonly stopsAtOperand?: true
  /** Returns the exit code. */
  run(args: Arguments, context: Context): Promise<number>
}

/** The command line of one command, read by its option rows. */
export interface Arguments {
  readonly operands: readonly string[]
  has(name: string): boolean
  /** The last one given. */
  value(name: string): string | undefined
  values(name: string): readonly string[]
}

export interface Context {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: Sink
  readonly stderr: Sink
  readonly env: NodeJS.ProcessEnv
  /** Signals that were ignored when guestctl was started, as under nohup. */
  readonly ignored: readonly NodeJS.Signals[]
  /** Made at the first call. @throws UsageError without an address */
  client(): GuestdClient
  /** A line on stderr, after `guestctl: `. */
  say(line: string): Promise<void>
  /** The same, with `--verbose` only. */
  remark(line: string): void
}

/** The command line is wrong: told with where to read more. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
