/** guestctl run */

import {
  ConnectError,
  type EndFrame,
  type RunningCommand,
  type RunRequest,
} from '../../client/index.ts'
import { type Arguments, type CliCommand, type Context, UsageError } from '../command-spec.ts'
import { exitCodeOf, exitCodes } from '../exit-code.ts'
import { explainEnd } from '../explain.ts'
import { forwardSignals } from '../forward-signals.ts'
import { forwardStdin, UnreadableInput } from '../forward-stdin.ts'
import { printFrames } from '../print-frames.ts'
import { errorText } from '../report-error.ts'
import { readRequest, requestOptions } from '../run-options.ts'

/** Limit for the signal to a command whose output cannot be written any more, in milliseconds. */
const SIGPIPE_LIMIT_MS = 1_000
/** Limit for the question whether more output may follow, in milliseconds. */
const INSPECT_LIMIT_MS = 2_000

export const run: CliCommand = {
  name: 'run',
  summary: 'Run a command, print its output, and exit with its exit code',
  operands: '-- COMMAND...',
  options: [
    ...requestOptions,
    {
      name: 'interactive',
      short: 'i',
      help: "Forward standard input; with --detach, write it with 'guestctl stdin'",
    },
    { name: 'detach', short: 'd', help: 'Print the id and leave the command running' },
    { name: 'json', help: 'Print the frames, one JSON object a line' },
  ],
  details: `One argument after -- is a bash script. Several are a program and its arguments, run without a
shell.

Ctrl-C, SIGTERM, SIGHUP and SIGQUIT go to the command's process group. A second Ctrl-C kills the
command. The third signal of any kind ends guestctl at once with 128+n; the command may continue.
guestctl reconnects after a lost connection.
  guestctl run -- 'make -j2 && ./app | tee log'
  guestctl run -C src -e CI=1 --timeout 10m -- npm test
  tar c . | guestctl run -i -- tar x`,
  stopsAtOperand: true,
  waitsUntil: 'ready',
  run: async (args, context) => {
    const request: RunRequest = {
      ...readRequest(args, context.env),
      ...(args.has('interactive') ? { stdin: 'open' } : {}),
    }
    if (!args.has('detach')) return await runHere(request, args, context)
    if (args.has('json')) throw new UsageError('--detach and --json exclude each other')
    const { id } = await context.client().start(request)
    await context.stdout.write(`${id}\n`)
    return exitCodes.ok
  },
}

async function runHere(request: RunRequest, args: Arguments, context: Context): Promise<number> {
  const giveUp = new AbortController()
  const signal = AbortSignal.any([giveUp.signal, context.stdout.failed, context.stderr.failed])
  const command = context.client().run(request, { signal })
  let isAccepted = false
  command.accepted.then(
    () => {
      isAccepted = true
    },
    () => {},
  )
  const stopForwarding = forwardSignals(command, giveUp, context)
  const isCut = args.has('interactive') ? forwardInput(command, context, signal) : () => false
  try {
    const printed = printFrames(command, context, args.has('json'))
    // The signal also ends a write that waits for the reader of the output.
    const { exit, end } = await Promise.race([printed, rejectionOf(signal)])
    if (exit === null) throw new Error('guestd did not report how the command ended')
    if (end !== null && end.descendants > 0) await reportDescendants(context, command.id, end)
    const explanation = explainEnd(exit, request)
    if (explanation !== null) await context.say(explanation)
    const code = exitCodeOf(exit)
    return code === exitCodes.ok && isCut() ? exitCodes.ownError : code
  } catch (error) {
    if (signal.aborted && !giveUp.signal.aborted) await sendSigpipe(context, command)
    if (!(error instanceof ConnectError && isAccepted)) throw error
    await context.say(errorText(error, 'run'))
    const { id } = command
    await context.say(`the command is ${id}: 'guestctl output --follow ${id}' continues to read it`)
    return exitCodes.ownError
  } finally {
    stopForwarding()
  }
}

/** If more output may follow, this prints it without --verbose too. Otherwise late output looks like lost output. */
async function reportDescendants(context: Context, id: string, end: EndFrame): Promise<void> {
  const lives = `${end.descendants} of its processes still run`
  const kill = `'guestctl kill ${id}' ends them`
  const signal = AbortSignal.timeout(INSPECT_LIMIT_MS)
  const info = await context
    .client()
    .inspect(id, { signal })
    .catch(() => null)
  if (info?.outputOpen === false) return context.remark(`${lives}: ${kill}`)
  await context.say(
    `${lives}, and more output may follow: 'guestctl output ${id} --follow' reads it, ${kill}`,
  )
}

/** Returns a function: whether the input broke off, so that the command got only part of it. */
function forwardInput(
  command: RunningCommand,
  context: Context,
  signal: AbortSignal,
): () => boolean {
  let isOver = false
  let isCut = false
  const input = () => context.stdin
  command.result
    .catch(() => {})
    .then(() => {
      isOver = true
      input().destroy()
    })
    .catch(() => {})
  forwardStdin(input, command.stdin).catch(error => {
    if (isOver || signal.aborted) return
    void context.say(`standard input: ${errorText(error, 'run')}`)
    if (!(error instanceof UnreadableInput)) return
    isCut = error.isCut
    // Without EOF the command would wait forever.
    command.stdin.end().catch(() => {})
  })
  return () => isCut
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

/** The output of guestctl is closed or full. The command gets SIGPIPE, as if its pipe had no reader. */
async function sendSigpipe(context: Context, { id }: RunningCommand): Promise<void> {
  const signal = AbortSignal.timeout(SIGPIPE_LIMIT_MS)
  await context
    .client()
    .signal(id, 'SIGPIPE', 'group', { signal })
    .catch(() => {})
}
