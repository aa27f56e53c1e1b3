/** guestctl stop */

import type { StopStep } from '../../client/index.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { noOperands } from '../operands.ts'
import { describeReceipt } from '../receipt-text.ts'
import { formatDuration, printable } from '../text-table.ts'

export const stop: CliCommand = {
  name: 'stop',
  summary: 'Stop the session: end the commands, write out the workspace, unmount it',
  operands: '',
  options: [{ name: 'json', help: 'Print each step and the receipt as a line of JSON' }],
  details: `It prints each step and then the receipt, and succeeds if the workspace is clean. A second call prints
the same stop. guestd keeps running as stopped, unless its setting powerOff says otherwise.`,
  run: async (args, { client, stdout }) => {
    noOperands(args)
    let clean = false
    for await (const frame of client().stop()) {
      if (frame.type === 'receipt') clean = frame.clean
      if (args.has('json')) await stdout.write(`${JSON.stringify(frame)}\n`)
      else if (frame.type === 'receipt') await stdout.write(describeReceipt(frame))
      else if (frame.state !== 'started') await stdout.write(describeStep(frame))
    }
    return clean ? exitCodes.ok : exitCodes.ownError
  },
}

const words: Readonly<Record<StopStep['name'], string>> = {
  commands: 'End the commands',
  flush: 'Write the workspace out',
  trim: 'Give free space back',
  unmount: 'Unmount it',
  verify: 'Verify the device',
  mark: 'Mark it as clean',
  detach: 'Detach the image',
}

function describeStep({ name, state, ms, reason }: StopStep): string {
  const how = state === 'failed' ? `failed: ${reason ?? ''}` : state
  return `${printable(`${words[name] ?? name}: ${how} (${formatDuration(ms)})`)}\n`
}
