/** Events of a guestd, for tests. */
import { readFileSync } from 'node:fs'
import type { SessionEvent } from '../../src/client/index.ts'
import type { Guestd } from './guestd.ts'

/** What its cursors begin with. */
export const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

export async function eventsOf(on: Guestd, query = ''): Promise<SessionEvent[]> {
  const reply = await on.request('GET', `/v1/events${query}`)
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`)
  return reply.text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

export const typesOf = (events: readonly SessionEvent[]) => events.map(({ type }) => type)
export const cursorOf = (event: SessionEvent | undefined) => event?.cursor ?? ''

/** Codes of what is wrong with the state in runDir, in their order. */
export async function stateProblems(on: Guestd): Promise<string[]> {
  return (await eventsOf(on)).flatMap(event => (event.type === 'state_problem' ? [event.code] : []))
}
