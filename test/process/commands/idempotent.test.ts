import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { bytesOf, type Guestd, run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { inspect } from './support.ts'

const guestd = await startGuestd(t)

/** Each run of the command leaves one line. */
const counting = (id: string, rest = '') => ({ id, command: `echo ran >> ${id}.count; ${rest}` })
const runs = (on: Guestd, id: string) => {
  try {
    return readFileSync(join(on.workspace, `${id}.count`), 'utf8').split('\n').length - 1
  } catch {
    return 0
  }
}

t.test('while it runs, a repeated request attaches to it', async t => {
  const body = counting('running', 'echo one; while [ ! -e go ]; do sleep 0.02; done; echo two')
  const first = await openRun(guestd, body)
  const seen = await first.seen('one')
  const second = await openRun(guestd, body)
  const again = await second.seen('one')
  t.same(again[0], seen[0], 'the same start: the same process')
  await run(guestd, { command: 'touch go' })
  const [one, two] = await Promise.all([first.rest(), second.rest()])
  t.equal(bytesOf([...seen, ...one], 'stdout').toString(), 'one\ntwo\n')
  t.equal(bytesOf([...again, ...two], 'stdout').toString(), 'one\ntwo\n')
  t.same(two.slice(-2), one.slice(-2))
  t.equal(runs(guestd, 'running'), 1)
})

t.test('when it has ended, a repeated request gets all that it gave', async t => {
  const body = counting('ended', 'echo out; sleep 0.05; echo err >&2; exit 7')
  const first = await run(guestd, body)
  for (let i = 0; i < 3; i++) t.same((await run(guestd, body)).frames, first.frames)
  t.equal(runs(guestd, 'ended'), 1)
})

t.test('several at the same moment start one', async t => {
  for (let round = 0; round < 20; round++) {
    const body = counting(`once-${round}`, 'echo $$')
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => run(guestd, body)))
    for (const { stdout, exit } of outcomes) {
      t.equal(stdout, outcomes[0]?.stdout)
      t.equal(exit.exitCode, 0)
    }
    t.equal(runs(guestd, body.id), 1)
  }
})

/** Sends the request and is gone after that many milliseconds, most often before a reply. */
async function sendAndLeave(on: Guestd, body: object, afterMs: number): Promise<void> {
  const json = JSON.stringify(body)
  const head = `POST /v1/commands HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}\r\n\r\n`
  const socket = connect(on.socketPath)
  socket.on('error', () => undefined)
  await new Promise<void>(resolve => socket.write(head + json, () => resolve()))
  await sleep(afterMs)
  socket.destroy()
}

t.test('a request that was cut before its reply can be repeated', async t => {
  for (let round = 0; round < 40; round++) {
    const body = counting(`left-${round}`, 'echo done; exit 5')
    await sendAndLeave(guestd, body, round % 8)
    const outcome = await run(guestd, body)
    t.equal(outcome.stdout, 'done\n')
    t.equal(outcome.exit.exitCode, 5)
    t.equal(runs(guestd, body.id), 1)
  }
})

t.test('a cut request with onDisconnect kill ends, and its repetition does not run', async t => {
  const body = { ...counting('impatient', 'sleep 30'), onDisconnect: 'kill' }
  await sendAndLeave(guestd, body, 300)
  await until(async () => (await inspect(guestd, 'impatient')).state === 'ended')
  t.match((await run(guestd, body)).exit, { cause: 'disconnected' })
  t.equal(runs(guestd, 'impatient'), 1)
})

t.test('another body with the same id is refused', async t => {
  const body = { ...counting('taken', 'sleep 0.3'), env: { A: '1', B: '2' } }
  const first = openRun(guestd, body)
  const { id, command } = body
  const others: readonly object[] = [
    { ...body, command: `${command} ` },
    { ...body, env: { A: '1' } },
    { ...body, env: { A: '1', B: '3' } },
    { ...body, timeoutMs: 1_000 },
    { ...body, detach: true },
    { id, argv: ['true'] },
  ]
  const refuseAll = async () => {
    for (const other of others) {
      const reply = await guestd.request('POST', '/v1/commands', { body: other })
      t.match(reply.json(), { status: 409, code: 'id_conflict', field: 'id' })
    }
  }
  await until(() => runs(guestd, 'taken') === 1)
  await refuseAll()
  await (await first).rest()
  await refuseAll()
  t.equal(runs(guestd, 'taken'), 1)
})

t.test('the order of fields and white space make no other request', async t => {
  const bodies = [
    '{"id":"order","command":"echo ran >> order.count","env":{"A":"1","B":"2"},"limits":{"nofile":64}}',
    '{"limits":{"nofile":64},"env":{"B":"2","A":"1"},"command":"echo ran >> order.count","id":"order"}',
    ' {\n "command" : "echo ran >> order\\u002ecount",\n "id":"order", "env": {"A":"1", "B":"2"},\t"limits":{"nofile":64.0} } ',
  ]
  const headers = { 'content-type': 'application/json' }
  for (const body of bodies) {
    const reply = await guestd.request('POST', '/v1/commands', { body, headers })
    t.equal(reply.status, 200, reply.text)
    t.match(reply.frames().at(-2), { type: 'exit', exitCode: 0 })
  }
  t.equal(runs(guestd, 'order'), 1)
})

t.test('a detached request is answered the same way again', async t => {
  const body = { ...counting('detached', 'sleep 0.2'), detach: true }
  for (let i = 0; i < 3; i++) {
    const reply = await guestd.request('POST', '/v1/commands', { body })
    t.equal(reply.status, 202)
    t.same(reply.json(), { id: 'detached' })
  }
  await until(async () => (await inspect(guestd, 'detached')).state === 'ended')
  t.equal((await guestd.request('POST', '/v1/commands', { body })).status, 202)
  t.equal(runs(guestd, 'detached'), 1)
})

t.test('without an id every request is another command', async t => {
  const body = { command: 'echo ran >> none.count; echo $$' }
  const [one, two] = await Promise.all([run(guestd, body), run(guestd, body)])
  t.not(one.frames[0]?.id, two.frames[0]?.id)
  t.equal(runs(guestd, 'none'), 2)
  // An id that guestd made is taken, whatever the body.
  const reply = await guestd.request('POST', '/v1/commands', {
    body: { ...body, id: String(one.frames[0]?.id) },
  })
  t.match(reply.json(), { status: 409, code: 'id_conflict' })
})

t.test('a launch that failed is not tried again', async t => {
  const body = { id: 'fails', argv: ['./appears-later'] }
  const first = await run(guestd, body)
  t.match(first.exit, { cause: 'spawn', errno: 'ENOENT' })
  await run(guestd, { command: 'printf "#!/bin/sh\\n" > appears-later; chmod +x appears-later' })
  t.same((await run(guestd, body)).frames, first.frames)
})

t.test('after a crash of guestd nothing runs a second time', async t => {
  const crashing = await startGuestd(t)
  const ended = counting('before', 'echo out; exit 3')
  const first = await run(crashing, ended)
  const running = counting('during', 'echo up; sleep 1000')
  const stream = await openRun(crashing, running)
  await stream.seen('up')
  await crashing.kill()
  await crashing.start()

  const again = await run(crashing, running)
  matchExactly(t, again.exit, { cause: 'lost', exitCode: null, signal: null })
  t.equal(runs(crashing, 'during'), 1)
  const known = await run(crashing, ended)
  t.same(known.exit, first.exit)
  t.equal(known.stdout, '')
  t.match(known.frames[1], { type: 'gap', from: 0, to: 4 })
  t.equal(runs(crashing, 'before'), 1)
  const other = { ...ended, timeoutMs: 5_000 }
  const conflict = await crashing.request('POST', '/v1/commands', { body: other })
  t.match(conflict.json(), { status: 409, code: 'id_conflict' })
})

t.test('a crash at any moment of a run leaves at most one run of it', async t => {
  const crashing = await startGuestd(t)
  for (let round = 0; round < 5; round++) {
    const body = counting(`crash-${round}`, 'sleep 30')
    const lost = crashing.request('POST', '/v1/commands', { body }).catch(() => null)
    await sleep(round * 3)
    await crashing.kill()
    await lost
    await crashing.start()
    const before = runs(crashing, body.id)
    const known = (await crashing.request('GET', `/v1/commands/${body.id}`)).status === 200
    if (!known) t.equal(before, 0, 'what has run is known')
    const again = await crashing.request('POST', '/v1/commands', {
      body: { ...body, detach: true },
    })
    t.equal(again.status, known ? 409 : 202)
    await crashing.request('DELETE', `/v1/commands/${body.id}`)
    t.ok(runs(crashing, body.id) <= 1)
  }
})
