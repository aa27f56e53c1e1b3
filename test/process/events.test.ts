import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { streamEvents } from '../../src/api/stream-events.ts'
import { createClient, type SessionEvent } from '../../src/client/index.ts'
import { createEvents } from '../../src/session/events.ts'
import { guestctl, startGuestctl } from '../helpers/guestctl.ts'
import { type Guestd, run, startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw } from '../helpers/raw-http.ts'
import { makeScratch } from '../helpers/scratch.ts'

const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
const OTHER_BOOT = '00000000-0000-4000-8000-000000000000'

async function eventsOf(on: Guestd, query = ''): Promise<SessionEvent[]> {
  const reply = await on.request('GET', `/v1/events${query}`)
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`)
  return reply.text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

const typesOf = (events: readonly SessionEvent[]) => events.map(({ type }) => type)
const cursorOf = (event: SessionEvent | undefined) => event?.cursor ?? ''

t.test('a session is told from its start to its stop, and after it', async t => {
  const guestd = await startGuestd(t)
  await guestd.request('PUT', '/v1/session', { body: { id: 's', env: { SECRET: 'hush-hush' } } })
  await run(guestd, { id: 'a', command: 'echo private; exit 3' })
  await run(guestd, { id: 'b', command: 'kill -9 $$' })
  const events = await eventsOf(guestd)
  t.match(events, [
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
  t.match(rest, [
    { type: 'stopping', reason: 'request' },
    { type: 'stopped', reason: 'request', clean: true, how: 'flush', errors: [] },
  ])
  t.same(await eventsOf(guestd, `?follow=true&cursor=${cursorOf(rest.at(-1))}`), [])
})

t.test('a launch that fails has an end, and one that is refused is no event', async t => {
  const guestd = await startGuestd(t)
  await run(guestd, { id: 'none', argv: ['/no/such/program'] })
  await guestd.request('POST', '/v1/commands', { body: { command: 'true', cwd: '/no/such' } })
  const [, ...events] = await eventsOf(guestd)
  t.match(events, [{ type: 'command_ended', id: 'none', cause: 'spawn', exitCode: null }])
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
    t.match(ready, { type: 'ready', restarted: true })
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

t.test('an EventSource is served, resumes, and is told when all is over', async t => {
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
  events.tell({ type: 'session_set', id: 's', runtimeVersion: null })
  for (let index = 0; index < 3_000; index++)
    events.tell({ type: 'command_started', id: `c${index}`, user: 'agent' })
  events.tell({ type: 'stopping', reason: 'signal' })
  const reader = events.attach(null, false)
  const all = Array.from({ length: 2_000 }, () => reader.read()).filter(event => event !== null)
  t.ok(reader.done)
  t.equal(all.length, 1_003)
  t.match(all.slice(0, 3), [
    { type: 'session_set' },
    { type: 'gap', from: cursorOf(all[0]) },
    { type: 'command_started', id: 'c2000' },
  ])
  t.match(all.at(-1), { type: 'stopping' })
  const numbers = all.map(event => Number(event.cursor.split(':')[1]))
  t.equal((numbers[1] ?? 0) - (numbers[0] ?? 0), 2_000)
})

t.test('that every follower has the last event, or has gone, can be waited for', async t => {
  const events = createEvents(BOOT)
  const server = createServer((_request, response) =>
    streamEvents({
      response,
      reader: events.attach(null, true),
      mediaType: 'application/x-ndjson',
      keepaliveMs: 60_000,
      onError: error => t.fail(String(error)),
    }),
  )
  const socketPath = join(makeScratch(t), 's')
  await once(server.listen(socketPath), 'listening')
  t.teardown(() => server.close())
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const open = async (): Promise<IncomingMessage> => {
    const [reply] = await once(request({ socketPath, agent }).end(), 'response')
    return reply
  }
  const reader = await open()
  const leaver = await open()
  let isOver = false
  const followed = events.followed().then(() => {
    isOver = true
  })
  events.tell({ type: 'stopping', reason: 'idle' })
  leaver.destroy()
  await once(reader, 'data')
  t.notOk(isOver)
  events.end()
  reader.resume()
  await followed
})

t.test('nothing is written after the end of a stream whose reader stalls', async t => {
  const errors: string[] = []
  const replies: ServerResponse[] = []
  const server = createServer(({ url = '' }, response) => {
    const events = createEvents(BOOT)
    const id = 'x'.repeat(1_000)
    for (let count = Number(url.slice(1)); count > 0; count--)
      events.tell({ type: 'command_started', id, user: 'agent' })
    response.on('error', error => errors.push(String(error)))
    replies.push(response)
    const reader = events.attach(null, false)
    const onError = (error: unknown) => errors.push(String(error))
    streamEvents({ response, reader, mediaType: 'application/x-ndjson', keepaliveMs: 20, onError })
  })
  const socketPath = join(makeScratch(t), 's')
  await once(server.listen(socketPath), 'listening')
  t.teardown(() => server.close())
  // What a socket takes is not known to the byte: one of these is over with some of it still unsent.
  for (let count = 64; count <= 512; count += 8) {
    const { socket, write } = await connectRaw(socketPath)
    t.teardown(() => socket.destroy())
    socket.pause()
    write(`GET /${count} HTTP/1.1\r\nHost: x\r\n\r\n`)
  }
  const isStalled = (one: ServerResponse) => one.writableEnded && !one.writableFinished
  await until(() => replies.length === 57)
  await sleep(100)
  t.ok(replies.some(isStalled))
  t.same(errors, [])
})

t.test('a follower that does not read costs nobody anything, and then sees a gap', async t => {
  const guestd = await startGuestd(t)
  const [ready] = await eventsOf(guestd)
  const stalled = request({ socketPath: guestd.socketPath, path: '/v1/events?follow=true' })
  const reply = await new Promise<IncomingMessage>(resolve => stalled.on('response', resolve).end())
  reply.pause()
  // What a socket and the response hold is some hundred KiB: thousands of long ids are more.
  const id = 'x'.repeat(120)
  for (let round = 0; round < 40; round++) {
    const batch = Array.from({ length: 50 }, (_, index) => ({
      id: `${id}${String(round).padStart(3, '0')}${String(index).padStart(3, '0')}`,
      argv: ['true'],
      detach: true,
    }))
    await Promise.all(batch.map(body => guestd.request('POST', '/v1/commands', { body })))
    await until(async () => {
      const { text } = await guestd.request('GET', '/v1/session')
      return JSON.parse(text).commands.running === 0
    })
  }
  await guestd.request('POST', '/v1/session/stop')
  let text = ''
  for await (const piece of reply.setEncoding('utf8')) text += piece
  const events: SessionEvent[] = text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.same(events[0], ready)
  t.ok(typesOf(events).includes('gap'))
  t.equal(events.at(-1)?.type, 'stopped')
  let place = Number(cursorOf(events[0]).split(':')[1])
  for (const event of events.slice(1)) {
    const number = Number(event.cursor.split(':')[1])
    if (event.type === 'gap') t.equal(event.from, `${BOOT}:${place}`)
    else if (number !== place + 1) t.fail(`${event.type} at ${number} after ${place}`)
    place = number
  }
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
  await guest.handOver({ id: 's' })
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

t.test('guestctl tells events a line each, and follows them to the stop', async t => {
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
  t.match(JSON.parse(json.out.split('\n')[0] ?? ''), { type: 'ready', cursor: `${BOOT}:` })
  t.match(await guestctl(['events', '--cursor', 'x'], { connect }), {
    code: 125,
    err: /invalid_request/,
  })
})

t.test('a workspace that is not there is told, with the reason', async t => {
  const guestd = await startGuestd(t, { config: { workspace: join('/proc', 'no-workspace') } })
  t.match(await eventsOf(guestd), [
    { type: 'workspace_unavailable', reason: /no-workspace/ },
    { type: 'ready' },
  ])
})
