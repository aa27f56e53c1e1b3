import { appendFileSync, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openOutput, openRun } from '../../helpers/frame-stream.ts'
import { type Guestd, run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { inspect, mark, WITHOUT_CGROUPS } from './support.ts'

/** @param processes that the commands have at least before it crashes */
async function crash(
  t: Test,
  options: { wrap?: readonly string[] },
  command: string,
  processes: number,
) {
  const guestd = await startGuestd(t, options)
  const { env, living } = mark(t)
  const ended = await run(guestd, { id: 'ended', command: 'printf 12345; printf 67 >&2; exit 3' })
  const orphan = mark(t)
  const left = await run(guestd, { id: 'left', command: 'sleep 1000 & exit 4', env: orphan.env })
  t.equal(left.end.descendants, 1)
  const stream = await openRun(guestd, { id: 'running', command, env })
  await stream.seen('up')
  const detached = { id: 'detached', command: 'echo up; sleep 1000', detach: true, env }
  await guestd.request('POST', '/v1/commands', { body: detached })
  await until(async () => Number((await inspect(guestd, 'detached')).cursor) === 3)
  let before: number[] = []
  await until(() => {
    before = living()
    return before.length >= processes
  })
  await guestd.kill()
  t.same(
    (await stream.rest()).filter(frame => frame.type === 'exit'),
    [],
    'its reader gets no frame: the connection is gone',
  )
  return { guestd, living, before, ended, orphans: orphan.living }
}

/** An EventSource that comes back gets the end once, and then no more. */
async function checkEventSource(t: Test, guestd: Guestd, id: string, cursor: number) {
  const resume = (lastEventId: string) =>
    guestd.request('GET', `/v1/commands/${id}/output?follow=true`, {
      headers: { accept: 'text/event-stream', 'last-event-id': lastEventId },
    })
  const rest = await resume(String(cursor))
  t.same(rest.text.match(/^(event|id): .*$/gm), [
    'event: start',
    'event: exit',
    `id: ${cursor}.exit`,
    'event: end',
    `id: ${cursor}.end`,
  ])
  t.equal((await resume(`${cursor}.end`)).status, 204)
}

async function checkLost(t: Test, guestd: Guestd, ended: { exit: object }) {
  for (const id of ['running', 'detached']) {
    matchExactly(t, await inspect(guestd, id), { state: 'ended', cause: 'lost', exitCode: null })
    const frames = await (await openOutput(guestd, id, 'follow=true')).rest()
    matchExactly(t, frames, [
      { type: 'start', id },
      { type: 'exit', cause: 'lost' },
      { type: 'end' },
    ])
    // A reader comes back with the cursor that it had: how much was written is not known.
    const back = await (await openOutput(guestd, id, 'cursor=3&follow=true&hold=true')).rest()
    t.match(back.at(-2), { type: 'exit', cause: 'lost' })
    await checkEventSource(t, guestd, id, 3)
  }
  // What its descendant wrote after `end` is not in the journal.
  const late = await (await openOutput(guestd, 'left', 'cursor=9&follow=true')).rest()
  matchExactly(t, late, [
    { type: 'start', cursor: 9 },
    { type: 'exit', exitCode: 4, cursor: 9 },
    { type: 'end', cursor: 9 },
  ])
  await checkEventSource(t, guestd, 'left', 9)
  await checkEventSource(t, guestd, 'ended', 7)
  t.match(await inspect(guestd, 'ended'), {
    state: 'ended',
    cause: 'exit',
    exitCode: 3,
    stdoutBytes: 5,
    stderrBytes: 2,
    truncated: 7,
    firstCursor: 7,
    cursor: 7,
  })
  const frames = await (await openOutput(guestd, 'ended', 'cursor=2')).rest()
  matchExactly(t, frames, [
    { type: 'start', cursor: 2 },
    { type: 'gap', from: 2, to: 7, cursor: 7 },
    ended.exit,
    { type: 'end', stdoutBytes: 5, stderrBytes: 2, truncated: 5, cursor: 7 },
  ])
  t.match(await inspect(guestd, 'left'), { cause: 'exit', exitCode: 4, descendants: 0 })
  const past = await guestd.request('GET', '/v1/commands/ended/output?cursor=8')
  t.match(past.json(), { status: 416, code: 'cursor_out_of_range' })
  for (const [path, body] of [
    ['signal', '{"signal":"SIGTERM"}'],
    ['stdin', ''],
  ] as const) {
    const headers = { 'content-type': 'application/json' }
    const reply = await guestd.request('POST', `/v1/commands/running/${path}`, { body, headers })
    t.equal(reply.status, 409, `${path}: ${reply.text}`)
  }
  t.match((await guestd.request('DELETE', '/v1/commands/running')).json(), { empty: true })
  const commands = (await guestd.request('GET', '/v1/commands')).json().commands
  t.same(
    (commands as { id: string }[]).map(one => one.id),
    ['ended', 'left', 'running', 'detached'],
  )
}

const TREE = [
  'trap "" TERM HUP',
  'setsid sleep 1000 &',
  '( ( exec sleep 1000 ) & ) &',
  'bash -c "kill -STOP \\$\\$; sleep 1000" &',
  'echo up',
  'while :; do sleep 0.1; done',
].join('\n')

t.test(
  'after a crash what ran is killed and answers lost, what had ended gives its end',
  async t => {
    const { guestd, living, before, ended, orphans } = await crash(t, {}, TREE, 6)
    t.ok(before.length >= 6, `${before.length} processes outlive guestd`)
    t.ok(existsSync(guestd.socketPath), 'the stale socket file is in the way')
    await guestd.start()
    t.same(living(), [], 'no process is left when it is ready, setsid or not')
    t.same(orphans(), [], 'and none of the ended commands')
    await checkLost(t, guestd, ended)
    const { cgroup } = (await guestd.request('GET', '/v1/session')).json() as {
      cgroup: { path: string }
    }
    t.same(
      readdirSync(cgroup.path).filter(name => name.startsWith('command-')),
      [],
    )

    // Once more: what was lost stays lost.
    await guestd.kill()
    await guestd.start()
    await checkLost(t, guestd, ended)
    t.equal((await run(guestd, { command: 'echo again' })).stdout, 'again\n')
  },
)

t.test('after a crash without cgroups the sessions of commands are killed', async t => {
  const tree = TREE.split('\n')
    .filter(line => !line.startsWith('setsid'))
    .join('\n')
  const { guestd, living, before, ended } = await crash(t, { wrap: WITHOUT_CGROUPS }, tree, 5)
  t.ok(before.length >= 5)
  await guestd.start()
  t.same(living(), [])
  await checkLost(t, guestd, ended)
})

t.test('a crash in the middle of a line of the journal loses only that line', async t => {
  const guestd = await startGuestd(t)
  const first = await run(guestd, { id: 'whole', command: 'exit 6' })
  await guestd.kill()
  for (const name of readdirSync(join(guestd.dir, 'run')).filter(one => one.endsWith('.ndjson')))
    appendFileSync(join(guestd.dir, 'run', name), '{"op":"start","id":"torn","reco')
  await guestd.start()
  t.same((await run(guestd, { id: 'whole', command: 'exit 6' })).exit, first.exit)
  t.equal((await guestd.request('GET', '/v1/commands/torn')).status, 404)
})
