/** guestctl output */

import type { CliCommand } from '../command-spec.ts'
import { exitCodeOf, exitCodes } from '../exit-code.ts'
import { explainEnd } from '../explain.ts'
import { oneId } from '../operands.ts'
import { printFrames } from '../print-frames.ts'
import { parseCount } from '../values.ts'

export const output: CliCommand = {
  name: 'output',
  summary: 'Print what a command has written',
  operands: 'ID',
  options: [
    { name: 'follow', short: 'f', help: 'Go on until the command and its output end' },
    { name: 'cursor', value: 'N', help: 'Begin after this many bytes; default: 0' },
    { name: 'json', help: 'Print the frames, one JSON object a line' },
  ],
  details: `Its stdout and stderr go to guestctl's own. Reading does not hold the command up: what is no
longer held is reported on stderr. A lost connection re-attaches by itself. With --follow it ends with the exit code
of the command, as run does.`,
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
