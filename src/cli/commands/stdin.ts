/** guestctl stdin */

import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { forwardStdin } from '../forward-stdin.ts'
import { oneId } from '../operands.ts'
import { errorText } from '../report-error.ts'

export const stdin: CliCommand = {
  name: 'stdin',
  summary: 'Write the standard input of guestctl to that of a command, and end it',
  operands: 'ID',
  options: [],
  details: `The command must have an open standard input, as from 'guestctl run --detach -i'. The input goes after
the bytes that the command has been given before.`,
  run: async (args, context) => {
    const { client, say } = context
    const id = oneId(args)
    const refusal = await forwardStdin(() => context.stdin, client().stdin(id))
    if (refusal === null) return exitCodes.ok
    await say(errorText(refusal, 'stdin'))
    return exitCodes.ownError
  },
}
