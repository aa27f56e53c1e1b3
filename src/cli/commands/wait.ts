/** guestctl wait */

import type { GuestdClient } from '../../client/index.ts'
import type { ExitFacts } from '../../protocol/frames.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodeOf } from '../exit-code.ts'
import { explainEnd } from '../explain.ts'
import { oneId } from '../operands.ts'

export const wait: CliCommand = {
  name: 'wait',
  summary: 'Wait until a command ends, and exit with its exit code',
  operands: 'ID',
  options: [],
  details: `It prints only the reason if guestd ended the command, on stderr. If the command has ended, it returns
at once. guestctl reconnects after a lost connection.`,
  run: async (args, { client, say }) => {
    const exit = await exitOf(client(), oneId(args))
    const explanation = explainEnd(exit, {})
    if (explanation !== null) await say(explanation)
    return exitCodeOf(exit)
  },
}

async function exitOf(client: GuestdClient, id: string): Promise<ExitFacts> {
  const { cause, cursor, ...facts } = await client.inspect(id)
  if (cause !== null) return { ...facts, cause, durationMs: facts.durationMs ?? 0 }
  for await (const frame of client.output(id, { cursor, follow: true })) {
    if (frame.type === 'exit') return frame
  }
  throw new Error('guestd did not report how the command ended')
}
