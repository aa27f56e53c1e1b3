/** Trees of processes that are hard to kill: each part has outlived the kill of some agent. */
import { type FrameStream, openRun } from '../../helpers/frame-stream.ts'
import { type Guestd, until } from '../../helpers/guestd.ts'
import { stateOf } from '../../helpers/processes.ts'
import type { Mark } from './support.ts'

/** These stay in the session of the command. */
export const members: readonly string[] = [
  '( ( exec sleep 1000 ) & ) &',
  '( trap "" TERM HUP INT; while :; do sleep 0.1; done ) &',
  'bash -c "kill -STOP \\$\\$; sleep 1000" &',
  '( trap "" TERM; while :; do ( sleep 0.05 ) & sleep 0.01; done ) &',
]

/** These leave it. */
export const escaped: readonly string[] = [
  'setsid sleep 1000 &',
  '( ( setsid bash -c "trap \\"\\" TERM; while :; do sleep 0.1; done" ) & ) &',
]

/** A command that ignores SIGTERM, with these parts. */
export function tree(...parts: readonly string[]): string {
  return [...parts, 'trap "" TERM', 'echo up', 'while :; do sleep 0.1; done'].join('\n')
}

/** The command with every part in place: one of them is stopped. */
export async function startTree(
  on: Guestd,
  id: string,
  command: string,
  { env, living }: Mark,
): Promise<FrameStream> {
  const stream = await openRun(on, { id, command, env })
  await stream.seen('up')
  await until(() => living().length >= 6 && living().some(pid => stateOf(pid) === 'T'))
  return stream
}
