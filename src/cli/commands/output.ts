/** guestctl output */

import type { CliCommand } from '../command-spec.ts'
import { exitCodeOf, exitCodes } from '../exit-code.ts'
import { explainEnd } from '../explain.ts'
import { oneId } from '../operands.ts'
import { printFrames } from '../print-frames.ts'
import { parseCount } from '../values.ts'

export const output: CliCommand = {
  name: 'output',
  summary: 'Print the output of a command',
  operands: 'ID',
  options: [
    { name: 'follow', short: 'f', help: 'Continue until the command and its output end' },
    { name: 'cursor', value: 'N', help: 'Begin after this many bytes; default: 0' },
    { name: 'json', help: 'Print the frames, one JSON object a line' },
  ],
  details: `Prints to stdout and stderr as the command did. It does not slow the command down: a gap in the output
is reported on stderr. guestctl reconnects after a lost connection. With --follow it exits with the exit
code of the command, as run does.`,
  run: async (args, context) => {
    const id = oneId(args)
    const cursor = args.value('cursor')
    const frames = context.client().output(id, {
      cursor: cursor === undefined ? 0 : parseCount('--cursor', cursor),
      follow: args.has('follow'),
      signal: AbortSignal.any([context.stdout.failed, context.stderr.failed]),
    })
    const { exit } = await printFrames(frames, context, args.has('json'))
    if (exit === null || !args.has('follow')) return exitCodes.ok
    const explanation = explainEnd(exit, {})
    if (explanation !== null) await context.say(explanation)
    return exitCodeOf(exit)
  },
}
