/** guestctl ps */

import type { CommandInfo } from '../../client/index.ts'
import type { CliCommand } from '../command.ts'
import { describeState } from '../describe.ts'
import { exitCodes } from '../exit-code.ts'
import { noOperands } from '../operands.ts'
import { formatBytes, formatDuration, renderTable } from '../table.ts'

/** Characters of a command's text in the list. */
const SHOWN_CHARACTERS = 60

export const ps: CliCommand = {
  name: 'ps',
  summary: 'List commands',
  operands: '',
  options: [
    { name: 'all', short: 'a', help: 'Ended ones too, as far as guestd still holds them' },
    { name: 'json', help: 'Print them as JSON' },
  ],
  details: '',
  run: async (args, { client, stdout }) => {
    noOperands(args)
    const commands = await client().list(args.has('all') ? {} : { state: 'running' })
    const text = args.has('json')
      ? `${JSON.stringify({ commands }, null, 2)}\n`
      : renderTable(
          ['ID', 'STATE', 'STARTED', 'USER', 'OUTPUT', 'COMMAND'],
          commands.map(info => rowOf(info)),
        )
    await stdout.write(text)
    return exitCodes.ok
  },
}

function rowOf(info: CommandInfo): string[] {
  const text = info.commandLine
  return [
    info.id,
    describeState(info),
    `${formatDuration(Math.max(0, Date.now() - Date.parse(info.startedAt)))} ago`,
    info.user,
    formatBytes(info.stdoutBytes + info.stderrBytes),
    text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS - 1)}…` : text,
  ]
}
