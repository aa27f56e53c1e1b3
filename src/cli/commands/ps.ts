/** guestctl ps */

import type { CommandInfo } from '../../client/index.ts'
import { firstOf } from '../../util/cut-text.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { describeState } from '../one-line.ts'
import { noOperands } from '../operands.ts'
import { formatBytes, formatDuration, renderTable } from '../text-table.ts'

/** How many characters of a command the list shows. */
const SHOWN_CHARACTERS = 60

export const ps: CliCommand = {
  name: 'ps',
  summary: 'List running commands',
  operands: '',
  options: [
    { name: 'all', short: 'a', help: 'Also list ended commands that guestd still holds' },
    { name: 'json', help: 'Print them as JSON' },
  ],
  details: 'An ended command stays in the list while any of its processes run.',
  run: async (args, { client, stdout }) => {
    noOperands(args)
    const held = await client().list()
    const commands = args.has('all') ? held : held.filter(isAlive)
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

function isAlive({ state, descendants }: CommandInfo): boolean {
  return state === 'running' || descendants > 0
}

function stateOf(info: CommandInfo): string {
  const { state, descendants } = info
  const left = state === 'ended' && descendants > 0 ? `, ${descendants} alive` : ''
  return `${describeState(info)}${left}`
}

function rowOf(info: CommandInfo): string[] {
  const text = info.commandLine
  return [
    info.id,
    stateOf(info),
    `${formatDuration(Math.max(0, Date.now() - Date.parse(info.startedAt)))} ago`,
    info.user,
    formatBytes(info.stdoutBytes + info.stderrBytes),
    text.length > SHOWN_CHARACTERS ? `${firstOf(text, SHOWN_CHARACTERS - 1)}…` : text,
  ]
}
