/** A second or two after the last reader guestd keeps less of an ended command: its replies stay the same. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd } from '../../helpers/guestd.ts'
import { inspect, remove } from './support.ts'

/** guestd looks each second. */
const RETIRED_MS = 3_000

const guestd = await startGuestd(t, { config: { output: { ringBytes: 65536 } } })
const output = async (id: string, query = '') => {
  const { status, text } = await guestd.request('GET', `/v1/commands/${id}/output${query}`)
  return { status, text }
}

const bodies = [
  { id: 'silent', command: 'exit 3' },
  { id: 'speaks', command: 'echo out; echo err >&2; kill -TERM $$' },
  { id: 'floods', command: 'head -c 300000 /dev/zero' },
  { id: 'unborn', argv: ['/nowhere/at/all'] },
  { id: 'child', command: 'echo now; (sleep 0.5; echo late) &' },
]
for (const body of bodies) await run(guestd, body)
const writes = await openRun(guestd, { id: 'writes', command: 'cat', stdin: 'open' })
const send = () =>
  guestd.request('POST', '/v1/commands/writes/stdin?offset=0&eof=true', {
    body: 'given',
    headers: { 'content-type': 'application/octet-stream' },
  })
const sent = (await send()).json()
await writes.rest()
// The descendant of `child` has written its late output by then.
await sleep(1_000)
const ids = [...bodies.map(({ id }) => id), 'writes']
const look = () =>
  Promise.all(
    ids.map(async id => ({
      info: await inspect(guestd, id),
      all: await output(id),
      rest: await output(id, '?cursor=2&follow=true'),
      past: await output(id, '?cursor=400000'),
    })),
  )
const before = await look()
const listed = await guestd.request('GET', '/v1/commands')
await sleep(RETIRED_MS)

t.test('its description and its output stay the same', async t => {
  t.same(await look(), before)
  t.same((await guestd.request('GET', '/v1/commands')).json(), listed.json())
  t.match(await inspect(guestd, 'child'), { stdoutBytes: 9, lateBytes: 5, descendants: 0 })
})

t.test('its request again finds it', async t => {
  for (const body of bodies.slice(0, 3)) {
    const { frames } = await run(guestd, body)
    t.same(frames.at(0), JSON.parse((await output(body.id)).text.split('\n')[0] ?? ''))
  }
  const other = await guestd.request('POST', '/v1/commands', {
    body: { id: 'silent', command: 'exit 4' },
  })
  t.match(other.json(), { code: 'id_conflict' })
})

t.test('it takes no signal, and is dead already', async t => {
  for (const id of ids) {
    const target = { signal: 'SIGTERM', target: 'cgroup' }
    const { status, json } = await guestd.request('POST', `/v1/commands/${id}/signal`, {
      body: target,
    })
    t.equal(status, 409)
    t.match(json(), { code: 'command_ended' })
    t.match(await remove(guestd, id), { status: 200, body: { id, empty: true, proof: 'cgroup' } })
  }
})

t.test('a repeated last write gets what was accepted', async t => {
  t.same((await send()).json(), sent)
  t.match(sent, { acceptedBytes: 5 })
})
