/** Runs the command of a command line, and turns errors into exit codes. */

import { createClient, type GuestdClient } from '../client/index.ts'
import { version } from '../version.ts'
import { parseArguments } from './arguments.ts'
import { type Arguments, type CliCommand, type Context, UsageError } from './command-spec.ts'
import { clearTmp } from './commands/clear-tmp.ts'
import { events } from './commands/events.ts'
import { flush } from './commands/flush.ts'
import { inspect } from './commands/inspect.ts'
import { kill } from './commands/kill.ts'
import { output } from './commands/output.ts'
import { ps } from './commands/ps.ts'
import { run } from './commands/run.ts'
import { session } from './commands/session.ts'
import { start } from './commands/start.ts'
import { status } from './commands/status.ts'
import { stdin } from './commands/stdin.ts'
import { stop } from './commands/stop.ts'
import { volume } from './commands/volume.ts'
import { wait } from './commands/wait.ts'
import { exitCodes } from './exit-code.ts'
import { GivenUp } from './forward-signals.ts'
import { commandHelp, commonOptions, topHelp, topOptions } from './help-text.ts'
import { checkArguments, ownVariable } from './raw-text.ts'
import { errorText, noAddress } from './report-error.ts'
import { OutputClosed, type Sink } from './sink.ts'
import { printableLines } from './text-table.ts'
import { tokenOption } from './token.ts'
import { parseDuration } from './values.ts'

export const commands: readonly CliCommand[] = [
  run,
  ps,
  inspect,
  output,
  wait,
  kill,
  stdin,
  status,
  session,
  events,
  flush,
  clearTmp,
  stop,
  start,
  volume,
]

export interface Surroundings {
  /** The arguments, without the program. */
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** Signals that were ignored when this process was started. */
  readonly ignored: readonly NodeJS.Signals[]
  /** Opens the standard input. Called only by commands that read it. */
  stdin(): NodeJS.ReadStream
  readonly stdout: Sink
  readonly stderr: Sink
}

/** Resolves with the exit code when all output is written. */
export async function guestctl(around: Surroundings): Promise<number> {
  let name = ''
  try {
    checkArguments(around.argv)
    const top = parseArguments(around.argv, { rows: topOptions, stopsAtOperand: true })
    const [word, ...rest] = top.operands
    name = word ?? ''
    const code = await dispatch(top, word, rest, around)
    await Promise.all([around.stdout.flush(), around.stderr.flush()])
    return code
  } catch (error) {
    if (error instanceof GivenUp) return error.exitCode
    if (error instanceof OutputClosed) return exitCodes.outputClosed
    // If stderr is closed too, the error cannot be printed.
    const known = commands.some(command => command.name === name) ? name : ''
    await around.stderr
      .write(`guestctl: ${printableLines(errorText(error, known))}\n`)
      .catch(() => {})
    await around.stderr.flush().catch(() => {})
    return exitCodes.ownError
  }
}

async function dispatch(
  top: Arguments,
  word: string | undefined,
  rest: readonly string[],
  around: Surroundings,
): Promise<number> {
  if (top.has('version')) return await print(around, `guestctl ${version}\n`)
  if (top.has('help') || (word === 'help' && rest.length === 0)) {
    return await print(around, topHelp(commands))
  }
  if (word === 'help') return await print(around, commandHelp(find(rest[0])))
  const command = find(word)
  const args = parseArguments(rest, {
    rows: [...command.options, ...commonOptions],
    stopsAtOperand: command.stopsAtOperand === true,
  })
  if (args.has('help')) return await print(around, commandHelp(command))
  const context = contextOf(around, top, args)
  const wait = args.value('wait') ?? top.value('wait')
  const until = command.waitsUntil ?? 'answers'
  const timeoutMs = wait === undefined ? null : parseDuration('--wait', wait)
  if (timeoutMs !== null && until !== 'nothing') await context.client().ready({ timeoutMs, until })
  return await command.run(args, context)
}

function find(word: string | undefined): CliCommand {
  if (word === undefined) throw new UsageError('there is no command')
  const command = commands.find(({ name }) => name === word)
  if (command === undefined) throw new UsageError(`there is no command '${word}'`)
  return command
}

async function print({ stdout }: Surroundings, text: string): Promise<number> {
  await stdout.write(text)
  return exitCodes.ok
}

function contextOf(around: Surroundings, top: Arguments, args: Arguments): Context {
  const { env, ignored, stdout, stderr } = around
  const verbose = top.has('verbose') || args.has('verbose')
  const say = (line: string) => stderr.write(`guestctl: ${printableLines(line)}\n`)
  const remark = (line: string) => {
    if (verbose) say(line).catch(() => {})
  }
  let client: GuestdClient | null = null
  let lastLoss = ''
  return {
    get stdin() {
      return around.stdin()
    },
    stdout,
    stderr,
    env,
    ignored,
    say,
    remark,
    client: () => {
      const connect =
        args.value('connect') ?? top.value('connect') ?? ownVariable(env, 'GUESTCTL_CONNECT')
      if (connect === undefined || connect === '') throw noAddress()
      client ??= createClient({
        connect,
        ...tokenOption(args.value('token-file') ?? top.value('token-file'), env),
        // Each error is printed once, however often it repeats.
        onLost: ({ message }) => {
          if (message !== lastLoss) remark(`trying again: ${message}`)
          lastLoss = message
        },
      })
      return client
    },
  }
}
