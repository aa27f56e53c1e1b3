import t from 'tap'
import { eventsOf } from '../helpers/events.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run, startGuestd, until } from '../helpers/guestd.ts'
import { infoOf, putSession } from '../helpers/session.ts'

const HOUR_MS = 3_600_000

const envOf = async (guestd: Guestd) =>
  (await run(guestd, { command: 'echo "$TOKEN $OTHER"' })).stdout.trim()

/** The renewals in the events, without their places. */
async function renewalsOf(guestd: Guestd) {
  return (await eventsOf(guestd))
    .filter(event => event.type === 'session_renewed')
    .map(({ cursor: _cursor, at: _at, ...fields }) => fields)
}

t.test('a second request renews all but the id and the runtime version', async t => {
  const guestd = await startGuestd(t, { config: { limits: { nofile: 300 }, idleMs: 2 * HOUR_MS } })
  const fixed = { id: 's', runtimeVersion: '7' }
  const first = { ...fixed, env: { TOKEN: 'old-secret', OTHER: 'x' }, limits: { nofile: 200 } }
  t.equal(
    (await putSession(guestd, { ...first, idleMs: HOUR_MS, lifetimeMs: HOUR_MS })).status,
    200,
  )
  t.equal(await envOf(guestd), 'old-secret x')

  const renewed = await putSession(guestd, {
    ...fixed,
    env: { TOKEN: 'new-secret' },
    lifetimeMs: 0,
  })
  t.equal(renewed.status, 200)
  t.match(renewed.json(), { id: 's', idleMs: 2 * HOUR_MS, lifetimeMs: 0, endsAt: String })
  t.equal(await envOf(guestd), 'new-secret', 'what is left out is gone')
  t.equal((await infoOf(guestd)).limits.nofile, 300, 'and as configured')

  const changed = ['env.TOKEN', 'env.OTHER', 'limits.nofile', 'idleMs', 'lifetimeMs']
  t.same(await renewalsOf(guestd), [{ type: 'session_renewed', id: 's', changed, more: 0 }])
  const [line = ''] = guestd.log().match(/^.*the session is renewed.*$/m) ?? []
  t.match(JSON.parse(line), { component: 'session', session: 's', more: 0 })
  t.same(JSON.parse(line).changed, changed)
  t.notMatch(guestd.log(), /secret/)
})

t.test('the same request again changes nothing, and is no event', async t => {
  const guestd = await startGuestd(t)
  const body = { id: 's', env: { A: '1', B: '2' }, limits: { nofile: 200 }, idleMs: HOUR_MS }
  t.equal((await putSession(guestd, body)).status, 200)
  const { env, ...rest } = body
  t.equal((await putSession(guestd, { ...rest, env: { B: env.B, A: env.A } })).status, 200)
  t.same(await renewalsOf(guestd), [])
})

t.test('a renewal outlives a restart of guestd', async t => {
  const guestd = await startGuestd(t)
  await putSession(guestd, { id: 's', env: { TOKEN: 'old' } })
  await putSession(guestd, { id: 's', env: { TOKEN: 'new' }, idleMs: HOUR_MS })
  await guestd.kill()
  await guestd.start()
  t.equal(await envOf(guestd), 'new')
  t.equal((await infoOf(guestd)).idleMs, HOUR_MS)
})

t.test('a running command keeps its environment, a later one has the new', async t => {
  const guestd = await startGuestd(t)
  await putSession(guestd, { id: 's', env: { TOKEN: 'old' } })
  const body = { id: 'a', command: 'read; echo $TOKEN', stdin: 'open', detach: true }
  await guestd.request('POST', '/v1/commands', { body })
  await putSession(guestd, { id: 's', env: { TOKEN: 'new' } })
  await guestd.request('POST', '/v1/commands/a/stdin?eof=true', { body: 'go\n' })
  const output = await guestd.request('GET', '/v1/commands/a/output?follow=true')
  t.equal(output.frames().find(frame => frame.type === 'output')?.text, 'old\n')
  t.equal(await envOf(guestd), 'new')
})

t.test('what is fixed is refused with its field, and leaves all as it was', async t => {
  const guestd = await startGuestd(t)
  await putSession(guestd, { id: 's', runtimeVersion: '7', env: { TOKEN: 'old' } })
  const env = { TOKEN: 'new' }
  for (const [body, field] of [
    [{ id: 't', runtimeVersion: '7', env }, 'id'],
    [{ id: 's', runtimeVersion: '8', env }, 'runtimeVersion'],
    [{ id: 's', env }, 'runtimeVersion'],
  ] as const) {
    const { status, json } = await putSession(guestd, body)
    t.same([status, json().code, json().field], [409, 'session_set', field])
  }
  const bad = await putSession(guestd, { id: 's', runtimeVersion: '7', env: { 'A=B': 'x' } })
  t.equal(bad.json().code, 'invalid_request')
  t.equal(await envOf(guestd), 'old')
  t.same(await renewalsOf(guestd), [])
})

t.test('a shorter limit is in force at once', async t => {
  const guestd = await startGuestd(t)
  await putSession(guestd, { id: 's', idleMs: HOUR_MS })
  await putSession(guestd, { id: 's', idleMs: 100 })
  await until(async () => (await infoOf(guestd)).state === 'stopped')
  t.equal((await infoOf(guestd)).reason, 'idle')
})

t.test('many and long names are bounded, in the event and in the line', async t => {
  const guestd = await startGuestd(t)
  await putSession(guestd, { id: 's' })
  const env = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`${index}_${'x'.repeat(200)}`, 'v']),
  )
  t.equal((await putSession(guestd, { id: 's', env })).status, 200)
  const [event] = await renewalsOf(guestd)
  const { changed, more } = event as { changed: string[]; more: number }
  t.equal(changed.length, 64)
  t.equal(more, 36)
  t.ok(changed.every(name => name.length === 128))
})

t.test('a variable with the name of a member of every object is renewed', async t => {
  const guestd = await startGuestd(t)
  await putSession(guestd, { id: 's' })
  const headers = { 'content-type': 'application/json' }
  const body = '{"id":"s","env":{"__proto__":"p","constructor":"c"}}'
  t.equal((await guestd.request('PUT', '/v1/session', { headers, body })).status, 200)
  const { stdout } = await run(guestd, { command: 'printenv __proto__ constructor' })
  t.equal(stdout, 'p\nc\n')
  const [event] = await renewalsOf(guestd)
  t.same(event?.changed, ['env.__proto__', 'env.constructor'])
})

t.test('guestctl session set renews, and names the field that is fixed', async t => {
  const guestd = await startGuestd(t)
  const { connect } = guestd
  const set = (...args: string[]) => guestctl(['session', 'set', ...args], { connect })
  t.same((await set('--id', 's', '-e', 'TOKEN=old', '--idle', '1h')).code, 0)
  const renewed = await set('--id', 's', '-e', 'TOKEN=new', '--lifetime', '8h')
  t.same([renewed.code, renewed.out, renewed.err], [0, 's\n', ''])
  t.equal(await envOf(guestd), 'new')
  t.match(await infoOf(guestd), { idleMs: 0, lifetimeMs: 8 * HOUR_MS })
  const refused = await set('--id', 'other')
  t.equal(refused.code, 125)
  t.match(refused.err, /its id is fixed in this boot.*session_set/s)
})
