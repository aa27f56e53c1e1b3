import { once } from 'node:events'
import t from 'tap'
import { bytesOf, parseFrames, run, startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw } from '../helpers/raw-http.ts'

const KEEPALIVE_MS = 100

const guestd = await startGuestd(t, { config: { keepaliveMs: KEEPALIVE_MS, logLevel: 'debug' } })

const inspect = async (id: string) => (await guestd.request('GET', `/v1/commands/${id}`)).json()
const hasEnded = (id: string) => async () => (await inspect(id)).state === 'ended'

/** The bytes of a POST as they go over the wire. */
function post(body: object, headers = ''): string {
  const json = JSON.stringify(body)
  return `POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\n${headers}Content-Length: ${json.length}\r\n\r\n${json}`
}

t.test('a stream says what it is, whose it is, and not to be kept', async t => {
  for (const type of [
    'application/x-ndjson',
    'application/vnd.amazon.eventstream',
    'text/event-stream',
    'application/json',
  ]) {
    const reply = await guestd.request('POST', '/v1/commands', {
      headers: { accept: type },
      body: { command: 'echo hi' },
    })
    t.equal(reply.status, 200)
    t.equal(reply.headers['content-type']?.split(';', 1)[0], type)
    t.equal(reply.headers['cache-control'], 'no-store')
    t.ok(reply.headers['guestd-version'])
    t.equal((await inspect(String(reply.headers['guestd-command-id']))).exitCode, 0)
    t.ok(reply.body.includes('hi'))
  }
})

t.test('frames come as they are made, not at the end', async t => {
  const reply = await guestd.open('POST', '/v1/commands', {
    body: { command: 'echo first; read x; echo "$x"', stdin: 'open', id: 'prompt' },
  })
  let text = ''
  reply.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await until(() => text.includes('first'))
  t.notMatch(text, /"type":"exit"/)
  await guestd.request('POST', '/v1/commands/prompt/stdin', { body: 'second\n' })
  await once(reply, 'end')
  const frames = parseFrames(text)
  t.same(frames.at(0)?.type, 'start')
  t.same(
    frames.slice(-2).map(frame => frame.type),
    ['exit', 'end'],
  )
  t.equal(bytesOf(frames, 'stdout').toString(), 'first\nsecond\n')
})

t.test('a silent stream is kept alive, at the cursor where it is', async t => {
  const { frames } = await run(guestd, { command: 'printf abc; sleep 0.6; printf d' })
  const alive = frames.filter(frame => frame.type === 'keepalive')
  t.ok(alive.length >= 2 && alive.length <= 8, `${alive.length} keepalives`)
  for (const frame of alive) {
    t.ok([0, 3].includes(frame.cursor))
    t.equal(new Date(String(frame.at)).toISOString(), frame.at)
  }
  t.equal(bytesOf(frames, 'stdout').toString(), 'abcd')
})

t.test(
  'a reader that stalls shortly before the end of its stream does not end the command',
  async t => {
    // What a socket takes is not known to the byte: one of these is over with some of it still unsent.
    for (let kib = 64; kib <= 512; kib += 16) {
      const id = `stalled-${kib}`
      await run(guestd, { id, command: `head -c ${kib}K /dev/zero | tr '\\0' x` })
      const { socket, write } = await connectRaw(guestd.socketPath)
      t.teardown(() => socket.destroy())
      socket.pause()
      write(`GET /v1/commands/${id}/output HTTP/1.1\r\nHost: x\r\n\r\n`)
    }
    const { frames } = await run(guestd, { command: 'sleep 0.5' })
    const alive = frames.filter(({ type }) => type === 'keepalive')
    t.ok(alive.length > 0, 'that of the others was due before')
    t.equal((await guestd.request('GET', '/healthz')).status, 200)
  },
)

t.test('a client that is gone before the reply leaves its command running', async t => {
  const connection = await connectRaw(guestd.socketPath)
  connection.write(post({ id: 'orphan', command: 'sleep 0.3; echo done' }))
  await new Promise(resolve => setTimeout(resolve, 1))
  connection.socket.destroy()
  await until(async () => (await guestd.request('GET', '/v1/commands/orphan')).status === 200)
  await until(hasEnded('orphan'))
  t.match(await inspect('orphan'), { cause: 'exit', exitCode: 0, stdoutBytes: 5 })
})

t.test('a client that is gone kills its command if the request says so', async t => {
  for (const accept of ['', 'Accept: application/json\r\n']) {
    const id = accept === '' ? 'doomed' : 'doomed-json'
    const connection = await connectRaw(guestd.socketPath)
    connection.write(post({ id, command: 'sleep 60', onDisconnect: 'kill' }, accept))
    await until(async () => (await guestd.request('GET', `/v1/commands/${id}`)).status === 200)
    connection.socket.destroy()
    await until(hasEnded(id))
    t.match(await inspect(id), { cause: 'disconnected' })
  }
})

t.test('a detached run answers at once with the place to look', async t => {
  const reply = await guestd.request('POST', '/v1/commands', {
    body: { id: 'apart', command: 'sleep 0.2; echo out', detach: true },
  })
  t.equal(reply.status, 202)
  t.same(reply.json(), { id: 'apart' })
  t.equal(reply.headers.location, '/v1/commands/apart')
  const output = await guestd.request('GET', `${reply.headers.location}/output?follow=true`)
  t.equal(bytesOf(output.frames(), 'stdout').toString(), 'out\n')
  t.equal(output.frames().at(-1)?.type, 'end')
})

t.test('without follow the output stops at the present', async t => {
  await guestd.request('POST', '/v1/commands', {
    body: { id: 'present', command: 'echo now; sleep 60', detach: true },
  })
  await until(async () => (await inspect('present')).stdoutBytes === 4)
  const reply = await guestd.request('GET', '/v1/commands/present/output')
  t.same(
    reply.frames().map(frame => frame.type),
    ['start', 'output'],
  )
  t.match((await guestd.request('DELETE', '/v1/commands/present')).json(), { empty: true })
})

t.test('an EventSource resumes after its last event, and gets 204 at the end', async t => {
  await run(guestd, { id: 'events', command: 'printf abcdef' })
  const resume = (lastEventId: string, query = '') =>
    guestd.request('GET', `/v1/commands/events/output${query}`, {
      headers: { accept: 'text/event-stream', 'last-event-id': lastEventId },
    })
  const rest = await resume('2', '?cursor=0')
  t.equal(rest.status, 200)
  t.match(rest.text, /event: output\nid: 6\ndata: \{"type":"output".*"text":"cdef"\}\n\n/)
  const eventsOf = (text: string) =>
    [...text.matchAll(/^event: (\w+)\n(?:id: (\S+)\n)?/gm)].map(([, type, id]) => [type, id])
  const noId = undefined
  t.same(eventsOf(rest.text), [
    ['start', noId],
    ['output', '6'],
    ['exit', '6.exit'],
    ['end', '6.end'],
  ])
  t.same(eventsOf((await resume('6')).text), [
    ['start', noId],
    ['exit', '6.exit'],
    ['end', '6.end'],
  ])
  t.same(eventsOf((await resume('6.exit')).text), [
    ['start', noId],
    ['end', '6.end'],
  ])
  const over = await resume('6.end')
  t.equal(over.status, 204)
  t.equal(over.text, '')
  for (const bad of ['6.start', '6.', '.end', '-1', '6.exit.end', '99999999999999999']) {
    t.match((await resume(bad)).json(), { code: 'invalid_request', field: 'last-event-id' })
  }
  const elsewhere = await guestd.request('GET', '/v1/commands/events/output?cursor=6.exit')
  t.match(elsewhere.json(), { code: 'invalid_request', field: 'cursor' })
  t.equal((await resume('')).status, 200)
  t.match((await resume('7')).json(), { code: 'cursor_out_of_range' })
  t.match((await resume('x')).json(), { code: 'invalid_request', field: 'last-event-id' })
  t.equal((await guestd.request('GET', '/v1/commands/events/output?cursor=6')).status, 200)
})

t.test('a cursor past the end is refused, and the end itself is not', async t => {
  const past = await guestd.request('GET', '/v1/commands/events/output?cursor=7')
  t.match(past.json(), { status: 416, code: 'cursor_out_of_range', field: 'cursor' })
})

t.test('HEAD has the headers of GET without a body, and is refused for a stream', async t => {
  const head = await guestd.request('HEAD', '/v1/commands/events')
  t.equal(head.status, 200)
  t.equal(head.text, '')
  t.ok(Number(head.headers['content-length']) > 100)
  t.equal((await guestd.request('HEAD', '/v1/commands/events/output')).status, 405)
})

t.test('the trace of a request is in the log, and nothing that only looks like one', async t => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  await guestd.request('GET', '/healthz', { headers: { traceparent } })
  await guestd.request('GET', '/healthz', { headers: { traceparent: 'forged-line' } })
  await until(() => guestd.log().includes(traceparent))
  t.notMatch(guestd.log(), /forged-line/)
})

t.test('a command is killed, signalled and listed by its state', async t => {
  for (const id of ['one', 'two']) {
    await guestd.request('POST', '/v1/commands', {
      body: { id, command: 'sleep 60', detach: true },
    })
  }
  const list = async (state: string) => {
    const reply = await guestd.request('GET', `/v1/commands?state=${state}`)
    const { commands } = reply.json() as { commands: { id: string }[] }
    return commands.map(command => command.id)
  }
  t.same(await list('running'), ['one', 'two'])
  const signalled = await guestd.request('POST', '/v1/commands/one/signal', {
    body: { signal: 'SIGUSR1' },
  })
  t.equal(signalled.status, 204)
  t.equal(signalled.text, '')
  t.match((await guestd.request('DELETE', '/v1/commands/two')).json(), { id: 'two', empty: true })
  await until(hasEnded('one'))
  t.match(await inspect('one'), { cause: 'signal', signal: 'SIGUSR1' })
  await until(hasEnded('two'))
  t.match(await inspect('two'), { cause: 'killed' })
  t.same(await list('running'), [])
  const late = await guestd.request('POST', '/v1/commands/one/signal', {
    body: { signal: 'SIGTERM' },
  })
  t.match(late.json(), { status: 409, code: 'command_ended' })
})

t.test(
  'the JSON reply counts what it left out, and the caller chooses how much it has',
  async t => {
    const headers = { accept: 'application/json' }
    const command = 'head -c 3000000 /dev/zero | tr "\\0" a; echo b >&2'
    const ask = async (query: string) => {
      const reply = await guestd.request('POST', `/v1/commands${query}`, {
        headers,
        body: { id: 'long-output', command },
      })
      t.equal(reply.status, 200, reply.text)
      const { stdout, stdoutCut, stderr, stderrCut, truncated, stdoutBytes } = reply.json()
      t.equal(stdoutBytes, 3_000_000)
      t.equal(truncated, 0)
      t.same({ stderr, stderrCut }, { stderr: 'b\n', stderrCut: 0 })
      return [String(stdout).length, stdoutCut]
    }
    const MIB = 1024 * 1024
    t.same(await ask(''), [MIB, 3_000_000 - MIB])
    t.same(await ask('?outputLimitBytes=2'), [2, 2_999_998])
    t.same(await ask(`?outputLimitBytes=${4 * MIB}`), [3_000_000, 0])
    const path = '/v1/commands/long-output/output?outputLimitBytes=10'
    const again = await guestd.request('GET', path, { headers })
    t.same([again.json().stdout, again.json().stdoutCut], ['a'.repeat(10), 2_999_990])
  },
)

t.test('a limit of output that is too large, or has no effect, is refused', async t => {
  const refused = async (query: string, accept: string, body: object) => {
    const path = `/v1/commands?outputLimitBytes=${query}`
    const reply = await guestd.request('POST', path, { headers: { accept }, body })
    const { code, field } = reply.json()
    t.same([code, field], ['invalid_request', 'outputLimitBytes'], `${query}: ${reply.text}`)
  }
  const body = { command: 'true' }
  for (const query of ['-1', '1.5', 'all', '', String(4 * 1024 * 1024 + 1)])
    await refused(query, 'application/json', body)
  await refused('10', 'application/x-ndjson', body)
  await refused('10', 'application/json', { ...body, detach: true })
})

t.test(
  'output that comes after exit is not followed by exit again, and keepalives have no id',
  async t => {
    const id = 'late-output'
    const path = `/v1/commands/${id}/output?follow=true`
    const accept = 'text/event-stream'
    await run(guestd, {
      id,
      command: '(sleep 0.05; echo late; sleep 0.6; echo later) & echo early',
    })
    const all = await guestd.request('GET', path, { headers: { accept } })
    t.match(all.text, /^event: keepalive\ndata: /m)
    const ids = [...all.text.matchAll(/^id: (\S+)$/gm)].map(([, one = '']) => one)
    t.equal(new Set(ids).size, ids.length, `no id comes twice: ${ids}`)
    const exit = ids.findIndex(one => one.endsWith('.exit'))
    const afterExit = ids[exit + 1] ?? ''
    t.match(afterExit, /^\d+$/, 'output came after exit')
    const rest = await guestd.request('GET', path, {
      headers: { accept, 'last-event-id': afterExit },
    })
    t.same(
      rest.text.match(/^id: \S+$/gm),
      ids.slice(exit + 2).map(one => `id: ${one}`),
    )
  },
)
