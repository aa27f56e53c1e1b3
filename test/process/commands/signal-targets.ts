/** Who gets a signal: checked where there are cgroups, and where there are none. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { type Guestd, type Reply, until } from '../../helpers/guestd.ts'
import { mark, remove } from './support.ts'

export function signal(on: Guestd, id: string, body: object): Promise<Reply> {
  return on.request('POST', `/v1/commands/${id}/signal`, { body })
}

/** What a command writes to stdout, as it comes. */
export async function startListening(on: Guestd, id: string, command: string, env: object) {
  const stream = await openRun(on, { id, command, env })
  let text = ''
  const over = (async () => {
    for (let frame = await stream.next(); frame !== null; frame = await stream.next())
      if (frame.stream === 'stdout') text += String(frame.text)
  })()
  return { text: () => text, over }
}

export type Reach = readonly [target: string | undefined, names: readonly string[]]

/** Sends SIGUSR1 to each target, and checks that these and no others got it. */
export async function checkTargets(on: Guestd, t: Test, reaches: readonly Reach[]): Promise<void> {
  for (const [target, names] of reaches) {
    const { env } = mark(t)
    const id = `target-${target ?? 'default'}`
    const { text, over } = await startListening(on, id, listeners(), env)
    await until(() => ['leader', 'member', 'leaver'].every(name => text().includes(name)))
    const body = { signal: 'SIGUSR1', ...(target === undefined ? {} : { target }) }
    const reply = await signal(on, id, body)
    t.equal(reply.status, 204, reply.text)
    await until(() => names.every(name => text().includes(`got-${name}`)))
    // Each looks every 20 ms: each process that got the signal has written it by then.
    await sleep(200)
    const got = text()
      .split('\n')
      .filter(line => line.startsWith('got-'))
    t.same(
      got.sort(),
      names.map(name => `got-${name}`),
      `target ${target}`,
    )
    await remove(on, id)
    await over
  }
}

/** Three processes that say who of them got SIGUSR1: the command, one of its group, one that left it. */
function listeners(): string {
  const listener = (name: string) =>
    `trap "echo got-${name}" USR1; echo ${name}; while :; do sleep 0.02; done`
  const inner = (name: string) => `bash -c '${listener(name)}'`
  return `${inner('member')} & setsid ${inner('leaver')} & ${listener('leader')}`
}
