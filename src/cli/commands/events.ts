/** guestctl events */

import type { SessionEvent } from '../../client/index.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { noOperands } from '../operands.ts'
import { printable } from '../text-table.ts'

export const events: CliCommand = {
  name: 'events',
  summary: 'Show the events of the session',
  operands: '',
  options: [
    { name: 'follow', short: 'f', help: 'Continue until the session has stopped' },
    { name: 'cursor', value: 'C', help: 'Begin after this event; default: with the oldest' },
    { name: 'json', help: 'Print them as JSON, one a line, with their cursors' },
  ],
  details: `Events that guestd no longer holds are shown as a gap. guestctl reconnects after a lost connection and
prints each event once. It also works after the session has stopped.`,
  run: async (args, { client, stdout, stderr }) => {
    noOperands(args)
    const all = client().events({
      cursor: args.value('cursor'),
      follow: args.has('follow'),
      signal: AbortSignal.any([stdout.failed, stderr.failed]),
    })
    for await (const event of all)
      await stdout.write(`${args.has('json') ? JSON.stringify(event) : describe(event)}\n`)
    return exitCodes.ok
  },
}

/** `2026-01-31T12:00:00.000Z workspace_level percent=90 rising=true …` */
function describe({ type, at, cursor: _, ...fields }: SessionEvent): string {
  const words = Object.entries(fields).map(([name, value]) => `${name}=${worded(value)}`)
  return printable([at, type, ...words].join(' '))
}

/** A text with spaces in it is quoted. */
function worded(value: unknown): string {
  return typeof value === 'string' && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value)
}
