import { join } from 'node:path'
import t from 'tap'
import { createClient, type SessionEvent } from '../../src/client/index.ts'
import { createEvents } from '../../src/events/event-log.ts'
import { BOOT, cursorOf, eventsOf, typesOf } from '../helpers/events.ts'
import { guestctl, startGuestctl } from '../helpers/guestctl.ts'
import { run, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'

const OTHER_BOOT = '00000000-0000-4000-8000-000000000000'

t.test(
  'the events of a session go from its start to its stop and can be read after it',
  async t => {
    const guestd = await startGuestd(t)
    await guestd.request('PUT', '/v1/session', { body: { id: 's', env: { SECRET: 'hush-hush' } } })
    await run(guestd, { id: 'a', command: 'echo private; exit 3' })
    await run(guestd, { id: 'b', command: 'kill -9 $$' })
    const events = await eventsOf(guestd)
    matchExactly(t, events, [
      { type: 'ready', restarted: false, version: /^\d/ },
      { type: 'session_set', id: 's', runtimeVersion: null },
      { type: 'command_started', id: 'a' },
      { type: 'command_ended', id: 'a', cause: 'exit', exitCode: 3, signal: null },
      { type: 'command_started', id: 'b' },
      { type: 'command_ended', id: 'b', cause: 'signal', exitCode: null, signal: 'SIGKILL' },
    ])
    t.equal(events.length, 6)
    t.notMatch(JSON.stringify(events), /hush-hush|private/)

    await guestd.request('POST', '/v1/session/stop')
    const rest = await eventsOf(guestd, `?cursor=${cursorOf(events.at(-1))}`)
    matchExactly(t, rest, [
      { type: 'stopping', reason: 'request' },
      { type: 'stopped', reason: 'request', clean: true, outcome: 'flush', errors: [] },
    ])
    t.same(await eventsOf(guestd, `?follow=true&cursor=${cursorOf(rest.at(-1))}`), [])
  },
)

t.test('a failed launch has an end event; a refused one has no event', async t => {
  const guestd = await startGuestd(t)
  await run(guestd, { id: 'none', argv: ['/no/such/program'] })
  await guestd.request('POST', '/v1/commands', { body: { command: 'true', cwd: '/no/such' } })
  const [, ...events] = await eventsOf(guestd)
  matchExactly(t, events, [{ type: 'command_ended', id: 'none', cause: 'spawn', exitCode: null }])
  t.equal(events.length, 1)
})

t.test('cursors name the boot and go up by one; a reader goes on after the last one', async t => {
  const guestd = await startGuestd(t)
  await run(guestd, { command: 'true' })
  const events = await eventsOf(guestd)
  const numbers = events.map(event => Number(event.cursor.split(':')[1]))
  t.same(
    events.map(event => event.cursor.split(':')[0]),
    events.map(() => BOOT),
  )
  t.same(
    numbers,
    numbers.map((_, index) => (numbers[0] ?? 0) + index),
  )
  t.same(await eventsOf(guestd, `?cursor=${cursorOf(events[0])}`), events.slice(1))
})

t.test('a cursor that cannot be one is refused, one past the end is out of range', async t => {
  const guestd = await startGuestd(t)
  const codeOf = async (query: string) =>
    (await guestd.request('GET', `/v1/events?${query}`)).json().code
  t.equal(await codeOf('cursor=5'), 'invalid_request')
  t.equal(await codeOf('cursor='), 'invalid_request')
  t.equal(await codeOf(`cursor=${BOOT}:9999999999999999`), 'invalid_request')
  t.equal(await codeOf(`cursor=${BOOT}:900000000000000`), 'cursor_out_of_range')
  t.equal(await codeOf('other=1'), 'invalid_request')
})

t.test('a restart of guestd, and another boot, are gaps; the numbers go on', async t => {
  const guestd = await startGuestd(t)
  await run(guestd, { command: 'true' })
  const before = cursorOf((await eventsOf(guestd)).at(-1))
  await guestd.kill()
  await guestd.start()
  for (const from of [before, `${OTHER_BOOT}:7`]) {
    const [gap, ready] = await eventsOf(guestd, `?cursor=${from}`)
    t.match(gap, { type: 'gap', from })
    matchExactly(t, ready, { type: 'ready', restarted: true })
    const [boot, number] = cursorOf(gap).split(':')
    t.equal(boot, BOOT)
    t.equal(cursorOf(ready), `${BOOT}:${Number(number) + 1}`)
    t.match(gap, { to: cursorOf(gap) })
    t.ok(Number(number) >= Number(before.split(':')[1]))
  }
})

t.test('followers get the last event, however the session ends, and their stream ends', async t => {
  for (const how of ['request', 'signal'] as const) {
    const guestd = await startGuestd(t)
    const following = eventsOf(guestd, '?follow=true')
    await run(guestd, { command: 'true' })
    if (how === 'request') await guestd.request('POST', '/v1/session/stop')
    else t.equal(await guestd.stop(), 0)
    const events = await following
    t.same(typesOf(events), ['ready', 'command_started', 'command_ended', 'stopping', 'stopped'])
    t.match(events.at(-1), { reason: how })
  }
})

t.test('a follower that has nothing to hear gets keepalives', async t => {
  const guestd = await startGuestd(t, { config: { keepaliveMs: 50 } })
  const reply = await guestd.open('GET', '/v1/events?follow=true')
  let text = ''
  reply.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
  })
  await until(() => text.split('"type":"keepalive"').length > 3)
  const lines = text.split('\n').filter(line => line.includes('keepalive'))
  t.equal(new Set(lines.map(line => JSON.parse(line).cursor)).size, 1)
  reply.destroy()
})

t.test('an EventSource is served, resumes, and gets 204 after the stop', async t => {
  const guestd = await startGuestd(t)
  const accept = 'text/event-stream'
  const first = await guestd.request('GET', '/v1/events', { headers: { accept } })
  t.equal(first.headers['content-type'], accept)
  const [, id = ''] =
    /^event: ready\nid: (\S+)\ndata: \{"type":"ready",.*\}\n\n$/.exec(first.text) ?? []
  t.match(id, BOOT)
  await guestd.request('POST', '/v1/session/stop')
  const rest = await guestd.request('GET', '/v1/events?follow=true', {
    headers: { accept, 'last-event-id': id },
  })
  const ids = [...rest.text.matchAll(/^id: (\S+)$/gm)].map(([, one = '']) => one)
  t.same(rest.text.match(/^event: \w+$/gm), ['event: stopping', 'event: stopped'])
  const over = await guestd.request('GET', '/v1/events', {
    headers: { accept, 'last-event-id': ids.at(-1) },
  })
  t.equal(over.status, 204)
  for (const other of ['application/json', 'application/vnd.amazon.eventstream']) {
    const reply = await guestd.request('GET', '/v1/events', { headers: { accept: other } })
    t.same([reply.status, reply.json().code], [406, 'not_acceptable'])
  }
})

t.test('thousands of commands push out older ones of them, but nothing of the session', async t => {
  const events = createEvents(BOOT)
  events.emit({ type: 'session_set', id: 's', runtimeVersion: null })
  for (let index = 0; index < 3_000; index++)
    events.emit({ type: 'command_started', id: `c${index}`, user: 'agent' })
  events.emit({ type: 'stopping', reason: 'signal' })
  const reader = events.attach(null, false)
  const all = Array.from({ length: 2_000 }, () => reader.read()).filter(event => event !== null)
  t.ok(reader.done)
  t.equal(all.length, 1_003)
  matchExactly(t, all.slice(0, 3), [
    { type: 'session_set' },
    { type: 'gap', from: cursorOf(all[0]) },
    { type: 'command_started', id: 'c2000' },
  ])
  t.match(all.at(-1), { type: 'stopping' })
  const numbers = all.map(event => Number(event.cursor.split(':')[1]))
  t.equal((numbers[1] ?? 0) - (numbers[0] ?? 0), 2_000)
})

t.test('the client reads events once each, over a guestd that was killed', async t => {
  const guestd = await startGuestd(t)
  const guest = createClient({ connect: guestd.connect })
  t.teardown(() => guest.close())
  const seen: SessionEvent[] = []
  const reading = (async () => {
    for await (const event of guest.events({ follow: true })) seen.push(event)
  })()
  await run(guestd, { command: 'true' })
  await until(() => seen.length === 3)
  await guestd.kill()
  await guestd.start()
  await guest.assignSession({ id: 's' })
  await until(() => typesOf(seen).includes('session_set'))
  t.match(await guest.stop(), { type: 'receipt', clean: true, reason: 'request' })
  await reading
  t.same(typesOf(seen), [
    'ready',
    'command_started',
    'command_ended',
    'gap',
    'ready',
    'session_set',
    'stopping',
    'stopped',
  ])
  const later: SessionEvent[] = []
  for await (const event of guest.events({ cursor: seen.at(-2)?.cursor })) later.push(event)
  t.same(later, seen.slice(-1))
  await t.rejects(guest.events({ cursor: 'x', follow: true }).next(), { code: 'invalid_request' })
})

t.test('guestctl prints one line per event, and follows them to the stop', async t => {
  const guestd = await startGuestd(t)
  const { connect } = guestd
  const following = startGuestctl(['events', '--follow'], { connect })
  await following.untilOutput(' ready ')
  await run(guestd, { id: 'a', command: 'exit 4' })
  await guestctl(['stop'], { connect })
  const { code, out } = await following.ended
  t.equal(code, 0)
  t.match(out, /^\S+Z ready version=\S+ restarted=false\n/)
  t.match(out, /\n\S+Z command_ended id=a cause=exit exitCode=4 signal=null\n/)
  t.match(out, /\n\S+Z stopped generation=null .*reason=request.*\n$/)
  const json = await guestctl(['events', '--json'], { connect })
  matchExactly(t, JSON.parse(json.out.split('\n')[0] ?? ''), {
    type: 'ready',
    cursor: new RegExp(`^${BOOT}:`),
  })
  t.match(await guestctl(['events', '--cursor', 'x'], { connect }), {
    code: 125,
    err: /invalid_request/,
  })
})

t.test('a missing workspace is an event with the reason', async t => {
  const guestd = await startGuestd(t, { config: { workspace: join('/proc', 'no-workspace') } })
  matchExactly(t, await eventsOf(guestd), [
    { type: 'workspace_unavailable', reason: /no-workspace/ },
    { type: 'not_ready', reasons: [{ code: 'workspace_unavailable', message: /no-workspace/ }] },
  ])
})
