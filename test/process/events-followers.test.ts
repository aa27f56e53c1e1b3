import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { streamEvents } from '../../src/api/stream-events.ts'
import type { SessionEvent } from '../../src/client/index.ts'
import { createEvents } from '../../src/events/event-log.ts'
import { BOOT, cursorOf, eventsOf, typesOf } from '../helpers/events.ts'
import { startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw } from '../helpers/raw-http.ts'
import { makeScratch } from '../helpers/scratch.ts'

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
  events.emit({ type: 'stopping', reason: 'idle' })
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
      events.emit({ type: 'command_started', id, user: 'agent' })
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

t.test('a follower that does not read slows no other, and then sees a gap', async t => {
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
