/** guestctl clear-tmp */

import type { ClearedTemporary } from '../../client/index.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { noOperands } from '../operands.ts'
import { formatBytes } from '../text-table.ts'

export const clearTmp: CliCommand = {
  name: 'clear-tmp',
  summary: 'Remove the temporary files of commands',
  operands: '',
  options: [{ name: 'json', help: 'Print the result as JSON' }],
  details: `It removes what users of commands have left in /tmp, /var/tmp and /dev/shm. While a command runs, or a
process of one, guestd refuses. Files of root stay.`,
  waitsUntil: 'answers',
  run: async (args, { client, stdout }) => {
    noOperands(args)
    const cleared = await client().clearTemporary()
    await stdout.write(args.has('json') ? `${JSON.stringify(cleared)}\n` : textOf(cleared))
    return exitCodes.ok
  },
}

function textOf({ removed, freedBytes, kept }: ClearedTemporary): string {
  const rest = kept === 0 ? '' : `; ${kept} could not be removed`
  return `${removed} files and folders removed, ${formatBytes(freedBytes)}${rest}\n`
}
