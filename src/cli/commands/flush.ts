/** guestctl flush */

import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { noOperands } from '../operands.ts'
import { describeReceipt } from '../receipt-text.ts'

export const flush: CliCommand = {
  name: 'flush',
  summary: 'Write out the workspace, so that it survives a power cut',
  operands: '',
  options: [{ name: 'json', help: 'Print the receipt as JSON' }],
  details: `It succeeds if everything that was written before is on the device, and no write has failed since
the workspace was mounted.`,
  waitsUntil: 'ready',
  run: async (args, { client, stdout }) => {
    noOperands(args)
    const receipt = await client().flush()
    await stdout.write(args.has('json') ? `${JSON.stringify(receipt)}\n` : describeReceipt(receipt))
    return receipt.clean ? exitCodes.ok : exitCodes.ownError
  },
}
