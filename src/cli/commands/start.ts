/** guestctl start */

import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { noOperands } from '../operands.ts'

export const start: CliCommand = {
  name: 'start',
  summary: 'Start a stopped session again',
  operands: '',
  options: [{ name: 'json', help: 'Print the answer as JSON' }],
  details: `A stop lasts until the next boot, even if guestd is restarted. This command makes guestd exit. Its
service manager starts it again with the session; without a service manager, start it by hand.`,
  run: async (args, { client, stdout }) => {
    noOperands(args)
    const answer = await client().startSession()
    const words = answer.restarting ? 'guestd restarts' : 'the session is not stopped'
    await stdout.write(args.has('json') ? `${JSON.stringify(answer)}\n` : `${words}\n`)
    return exitCodes.ok
  },
}
