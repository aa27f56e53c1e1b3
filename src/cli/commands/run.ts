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

/** Longest that the news of an output that failed may take to reach the guest, in milliseconds. */
const FAREWELL_LIMIT_MS = 1_000
/** How long the end may wait for the answer whether output may follow, in milliseconds. */
const INSPECT_LIMIT_MS = 2_000

export const run: CliCommand = {
  name: 'run',
  summary: 'Run a command, with its output here, and end with its exit code',
  operands: '-- COMMAND...',
  options: [
    ...requestOptions,
    {
      name: 'interactive',
      short: 'i',
      help: "Forward standard input; with --detach leave it to 'guestctl stdin'",
    },
    { name: 'detach', short: 'd', help: 'Print the id and leave the command running' },
    { name: 'json', help: 'Print the frames, one JSON object a line' },
  ],
  details: `One argument after -- is a bash script, as typed; several are a program and its arguments, run
with no shell.

Ctrl-C, SIGTERM, SIGHUP and SIGQUIT go to the command's process group; a second Ctrl-C kills all
of the command. The third signal, of whichever kind, ends guestctl at once, with 128+n: the command
may go on. A lost connection re-attaches by itself.
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
  const isCut = args.has('interactive') ? feed(command, context, signal) : () => false
  try {
    const printed = printFrames(command, context, args.has('json'))
    // The signal also ends a wait for whoever reads our output.
    const { exit, end } = await Promise.race([printed, rejectionOf(signal)])
    if (exit === null) throw new Error('guestd did not tell how the command ended')
    if (end !== null && end.descendants > 0) await sayWhatLives(context, command.id, end)
    const explanation = explainEnd(exit, request)
    if (explanation !== null) await context.say(explanation)
    const code = exitCodeOf(exit)
    return code === exitCodes.ok && isCut() ? exitCodes.ownError : code
  } catch (error) {
    if (signal.aborted && !giveUp.signal.aborted) await tellClosed(context, command)
    if (!(error instanceof ConnectError && isAccepted)) throw error
    await context.say(errorText(error, 'run'))
    const { id } = command
    await context.say(`the command is ${id}: 'guestctl output --follow ${id}' reads on`)
    return exitCodes.ownError
  } finally {
    stopForwarding()
  }
}

/** That output may follow is said in any case: without it, late output looks like lost output. */
async function sayWhatLives(context: Context, id: string, end: EndFrame): Promise<void> {
  const lives = `${end.descendants} of its processes live on`
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

/** Returns whether our input broke off, so that the command worked on a part of it. */
function feed(command: RunningCommand, context: Context, signal: AbortSignal): () => boolean {
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
    // The command shall not wait for what never comes.
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

/** Our output is closed or full: the command learns it as of a pipe that nobody reads, by SIGPIPE. */
async function tellClosed(context: Context, { id }: RunningCommand): Promise<void> {
  const signal = AbortSignal.timeout(FAREWELL_LIMIT_MS)
  await context
    .client()
    .signal(id, 'SIGPIPE', 'group', { signal })
    .catch(() => {})
}
