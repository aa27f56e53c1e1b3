/** The parts of a guestctl command. */

import type { GuestdClient } from '../client/index.ts'
import type { Sink } from './sink.ts'

/** One option of a command. It is parsed, and `--help` shows it. */
export interface OptionRow {
  readonly name: string
  readonly short?: string
  /** Name of its value in the help. An option without a value is a switch. */
  readonly value?: string
  readonly multiple?: true
  /** The switch also accepts this word, as `--name=WORD`. */
  readonly word?: string
  readonly help: string
}

export interface CliCommand {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** The text after the options in the usage line. */
  readonly operands: string
  readonly options: readonly OptionRow[]
  /** Paragraphs below the options. */
  readonly details: string
  /** What `--wait` waits for. Default: until guestd answers. `volume` needs no guest. */
  readonly waitsUntil?: 'ready' | 'answers' | 'nothing'
  /** Options end at the first operand, so that the command to run can have its own options. */
  readonly stopsAtOperand?: true
  /** Returns the exit code. */
  run(args: Arguments, context: Context): Promise<number>
}

/** The parsed command line of one command. */
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
  /** Created at the first call. @throws UsageError without an address */
  client(): GuestdClient
  /** Prints a line to stderr, after `guestctl: `. */
  say(line: string): Promise<void>
  /** The same, with `--verbose` only. */
  remark(line: string): void
}

/** The command line is wrong. The message is printed with a reference to `--help`. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
