/** guestctl events */

import type { SessionEvent } from '../../client/index.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { noOperands } from '../operands.ts'
import { printable } from '../text-table.ts'

export const events: CliCommand = {
  name: 'events',
  summary: 'Tell what happened to the session',
  operands: '',
  options: [
    { name: 'follow', short: 'f', help: 'Go on until the session has stopped' },
    { name: 'cursor', value: 'C', help: 'Begin after this event; default: all that is held' },
    { name: 'json', help: 'Print them as JSON, one a line, with their cursors' },
  ],
  details: `What is no longer held is told as a gap. A lost connection is made again, and each event comes
once. It works on a session that has stopped, too.`,
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
