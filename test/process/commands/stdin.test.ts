import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createTally, openRun, tallyRest } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { openFds, rssBytes } from '../../helpers/processes.ts'
import { sha256 } from '../../helpers/sha256.ts'
import { inspect, MIB } from './support.ts'

const guestd = await startGuestd(t)

const write = (id: string, query: string, body: Uint8Array | string = '') =>
  guestd.request('POST', `/v1/commands/${id}/stdin?${query}`, {
    headers: { 'content-type': 'application/octet-stream' },
    body,
  })
const open = (id: string, command: string, more: object = {}) =>
  openRun(guestd, { id, command, stdin: 'open', ...more })

t.test('100 MiB through cat come back exactly', async t => {
  const text = Buffer.from(`${randomBytes(512 * 1024).toString('hex')}é漢𝄞\n`)
  const bytes = Buffer.concat([
    ...Array.from({ length: 60 }, () => text),
    randomBytes(10 * MIB),
    Buffer.alloc(30 * MIB, '0123456789abcdef'),
  ])
  t.ok(bytes.length >= 100 * MIB)
  const before = rssBytes(guestd.pid)
  const stream = await open('cat', 'cat')
  const tally = createTally()
  const [reply, others] = await Promise.all([
    write('cat', 'eof=true', bytes),
    tallyRest(stream, tally),
  ])
  t.same(reply.json(), { acceptedBytes: bytes.length })
  t.same(
    others.map(frame => frame.type),
    ['start', 'exit', 'end'],
  )
  t.match(others[1], { exitCode: 0, cause: 'exit' })
  t.match(others[2], { stdoutBytes: bytes.length, truncated: 0 })
  t.equal(tally.sha256('stdout'), sha256(bytes))
  const grown = rssBytes(guestd.pid) - before
  t.ok(grown < 150 * MIB, `guestd grew by ${Math.round(grown / MIB)} MiB`)
})

t.test('a writer waits for a command that does not read', async t => {
  const bytes = randomBytes(64 * MIB)
  const before = rssBytes(guestd.pid)
  const stream = await open('slow', 'while [ ! -e go ]; do sleep 0.05; done; sha256sum')
  let answered = false
  const reply = write('slow', 'eof=true', bytes).finally(() => {
    answered = true
  })
  await sleep(1_000)
  t.notOk(answered)
  const grown = rssBytes(guestd.pid) - before
  t.ok(grown < 16 * MIB, `guestd grew by ${Math.round(grown / MIB)} MiB`)
  await run(guestd, { command: 'touch go' })
  t.same((await reply).json(), { acceptedBytes: bytes.length })
  const frames = await stream.rest()
  t.equal(frames.find(frame => frame.type === 'output')?.text, `${sha256(bytes)}  -\n`)
})

t.test('the command gets the end of its standard input', async t => {
  const stream = await open('eof', 'cat; echo end; exit 3')
  t.same((await write('eof', '', 'one ')).json(), { acceptedBytes: 4 })
  t.same((await write('eof', 'offset=4', 'two ')).json(), { acceptedBytes: 8 })
  await stream.seen('one two ')
  t.match(await inspect(guestd, 'eof'), { state: 'running' })
  t.same((await write('eof', 'eof=true')).json(), { acceptedBytes: 8 })
  const frames = await stream.rest()
  matchExactly(t, frames, [{ text: 'end\n' }, { type: 'exit', exitCode: 3 }, { type: 'end' }])
})

t.test('a command gets no end of input that was not sent', async t => {
  const stream = await open('noeof', 'timeout 0.5 cat; echo "$?"')
  await write('noeof', '', 'x')
  const frames = await stream.rest()
  t.match(frames.filter(frame => frame.type === 'output').at(-1), { text: '124\n' })
})

t.test('bytes that are sent again are not written again', async t => {
  const stream = await open('again', 'cat')
  t.same((await write('again', 'offset=0', 'abc')).json(), { acceptedBytes: 3 })
  t.same((await write('again', 'offset=0', 'abcdef')).json(), { acceptedBytes: 6 })
  t.same((await write('again', 'offset=2', 'cd')).json(), { acceptedBytes: 6 })
  const beyond = await write('again', 'offset=7', 'h')
  t.equal(beyond.status, 416)
  t.match(beyond.json(), { code: 'offset_out_of_range', field: 'offset' })
  t.same((await write('again', 'offset=6&eof=true', 'g')).json(), { acceptedBytes: 7 })
  t.same(
    (await write('again', 'offset=6&eof=true', 'g')).json(),
    { acceptedBytes: 7 },
    'the end too',
  )
  const late = await write('again', 'offset=7', 'h')
  t.match(late.json(), { status: 409, code: 'stdin_closed' })
  const frames = await stream.rest()
  const text = frames.flatMap(frame => (frame.type === 'output' ? [String(frame.text)] : []))
  t.equal(text.join(''), 'abcdefg')
})

t.test('a writer that lost its connection goes on where it was', async t => {
  const bytes = randomBytes(4 * MIB)
  const stream = await open('lost', 'sha256sum')
  let accepted = 0
  for (let cut = 0; cut < 10; cut++) {
    const upload = request({
      socketPath: guestd.socketPath,
      method: 'POST',
      path: `/v1/commands/lost/stdin?offset=${accepted}`,
      headers: { 'content-length': bytes.length - accepted },
    })
    upload.on('error', () => undefined)
    upload.write(bytes.subarray(accepted, accepted + 300_000))
    await sleep(20)
    upload.destroy()
    const now = await write('lost', '')
    accepted = Number(now.json().acceptedBytes)
  }
  t.ok(accepted > 0 && accepted < bytes.length, `${accepted} bytes were accepted`)
  const rest = await write('lost', `offset=${accepted}&eof=true`, bytes.subarray(accepted))
  t.same(rest.json(), { acceptedBytes: bytes.length })
  const frames = await stream.rest()
  t.equal(frames.find(frame => frame.type === 'output')?.text, `${sha256(bytes)}  -\n`)
})

t.test('two writers at once take turns', async t => {
  const stream = await open('turns', 'cat')
  const bodies = ['a', 'b', 'c'].map(letter => letter.repeat(500_000))
  const tally = createTally()
  const texts: string[] = []
  const reading = (async () => {
    for (let frame = await stream.next(); frame !== null; frame = await stream.next()) {
      tally.add(frame)
      if (frame.type === 'output') texts.push(String(frame.text))
    }
  })()
  await Promise.all(bodies.map(body => write('turns', '', body)))
  await write('turns', 'eof=true')
  await reading
  t.same(
    texts
      .join('')
      .match(/(.)\1*/g)
      ?.map(same => same.length),
    [500_000, 500_000, 500_000],
  )
})

t.test('a write to a command that has closed its standard input is refused', async t => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  /** All over one connection, or as many as guestd wants: an answer in any case. */
  const call = (method: string, path: string, body = '') =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const sent = request(
        { socketPath: guestd.socketPath, method, path, agent, timeout: 5_000 },
        async reply => {
          const chunks: Buffer[] = []
          for await (const chunk of reply) chunks.push(chunk)
          resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
        },
      )
      sent.on('timeout', () => sent.destroy(new Error('no answer')))
      sent.on('error', reject)
      sent.end(body)
    })
  const stream = await open('early', 'head -c 5; exec 0<&-; echo; echo closed; sleep 30')
  t.equal((await call('POST', '/v1/commands/early/stdin', '12345')).status, 200)
  await stream.seen('closed')
  const big = 'x'.repeat(8 * MIB)
  for (let i = 0; i < 3; i++) {
    const { status, text } = await call('POST', '/v1/commands/early/stdin', big)
    t.equal(status, 409, text)
    t.match(JSON.parse(text), { code: 'stdin_closed' })
    t.equal((await call('GET', '/healthz')).status, 200, 'nothing is stuck')
  }
  t.match(await inspect(guestd, 'early'), { state: 'running' })
  await guestd.request('DELETE', '/v1/commands/early')
  t.equal((await call('POST', '/v1/commands/early/stdin', 'x')).status, 409)
})

t.test('a write is refused when the command ends during it', async t => {
  for (const how of ['head -c 100000 > /dev/null', 'sleep 0.3', 'kill -9 $$']) {
    const id = `ends-${how.split(' ')[0]}`
    const stream = await open(id, how)
    const reply = await write(id, '', 'x'.repeat(8 * MIB))
    t.equal(reply.status, 409, how)
    t.match(reply.json(), { code: 'stdin_closed' })
    t.match((await stream.rest()).at(-1), { type: 'end' })
  }
})

t.test('a command that was not asked to be written to cannot be', async t => {
  const stream = await openRun(guestd, { id: 'none', command: 'cat; sleep 0.5; echo done' })
  for (const [query, body] of [
    ['', 'x'],
    ['eof=true', ''],
    ['offset=0', 'x'],
  ] as const) {
    const reply = await write('none', query, body)
    t.match(reply.json(), { status: 409, code: 'stdin_closed' }, `"${query}" "${body}"`)
  }
  await stream.seen('done')
  t.match((await write('nobody-has-it', '', 'x')).json(), { code: 'command_not_found' })
})

t.test('the end of a command does not wait for its writer, and keeps nothing open', async t => {
  const before = openFds(guestd.pid)
  for (let i = 0; i < 20; i++) {
    const stream = await open(`unread-${i}`, 'echo out; exit 2')
    t.match((await stream.rest()).at(-2), { type: 'exit', exitCode: 2 })
  }
  await until(() => openFds(guestd.pid) <= before)
})
