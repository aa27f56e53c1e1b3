/** guestctl kill */

import type { CommandInfo, KillReply } from '../../client/index.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { describeState } from '../one-line.ts'
import { oneId } from '../operands.ts'
import { printable } from '../text-table.ts'
import { parseChoice, parseSignal } from '../values.ts'

const targets = ['process', 'group', 'cgroup'] as const

export const kill: CliCommand = {
  name: 'kill',
  summary: 'Kill a command and all its descendants, or send it a signal',
  operands: 'ID',
  options: [
    {
      name: 'signal',
      short: 's',
      value: 'SIGNAL',
      help: 'Only send this signal: TERM, SIGTERM or 15',
    },
    {
      name: 'target',
      value: targets.join('|'),
      help: 'Where to send the signal; default: group',
    },
    { name: 'json', help: 'Print the proof as JSON' },
  ],
  details: `Without --signal it returns when no process of the command is left, and names the proof: the cgroup,
for all descendants; or the process group, which a process can leave.`,
  run: async (args, { client, stdout }) => {
    const id = oneId(args)
    const signal = args.value('signal')
    const target = args.value('target')
    if (signal !== undefined) {
      const to = parseChoice('--target', target ?? 'group', targets)
      await client().signal(id, parseSignal('--signal', signal), to)
      return exitCodes.ok
    }
    const before = args.has('json') ? null : await client().inspect(id)
    const reply = await client().kill(id)
    const text =
      before === null ? JSON.stringify(reply) : printable(`${id}: ${describe(before, reply)}`)
    await stdout.write(`${text}\n`)
    return reply.empty ? exitCodes.ok : exitCodes.ownError
  },
}

function describe(before: CommandInfo, { proof, moved = [] }: KillReply): string {
  const elsewhere =
    moved.length === 0 ? '' : `; these still run in other cgroups: pid ${moved.join(', ')}`
  const left = `no process is left (${proof})${elsewhere}`
  return before.state === 'ended' ? `it had ended before (${describeState(before)}); ${left}` : left
}
