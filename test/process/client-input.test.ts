import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import t from 'tap'
import { createClient, type Frame, type Input } from '../../src/client/index.ts'
import { createReadAhead } from '../../src/client/read-ahead.ts'
import { startGuestd, until } from '../helpers/guestd.ts'
import { sha256 } from '../helpers/sha256.ts'

const guestd = await startGuestd(t)
const client = createClient({ connect: guestd.connect })
t.teardown(() => client.close())

const LARGE = randomBytes(20_000_000)

t.test('input of every kind reaches the command, to the byte and to its end', async t => {
  const half = LARGE.length / 2
  async function* pieces() {
    yield LARGE.subarray(0, half)
    yield LARGE.subarray(half)
  }
  const kinds: Readonly<Record<string, Input>> = {
    bytes: LARGE,
    'a stream': Readable.from(pieces()),
    'a generator': pieces(),
  }
  for (const [name, input] of Object.entries(kinds)) {
    const { stdout } = await client.run({ command: 'sha256sum', input }).collect()
    t.equal(stdout.toString().slice(0, 64), sha256(LARGE), name)
  }
  for (const text of ['', 'äö\n']) {
    const { stdout } = await client.run({ argv: ['cat'], input: text }).collect()
    t.equal(stdout.toString(), text)
  }
})

t.test('a command that does not read its input is no failure', async t => {
  const { exitCode } = await client.run({ command: 'exit 4', input: LARGE }).collect()
  t.equal(exitCode, 4)
  const closing = { command: 'exec 0<&-; sleep 0.3; exit 5', input: LARGE }
  t.equal((await client.run(closing).result).exitCode, 5)
})

t.test(
  'input that fails kills the command, and its error is what the call rejects with',
  async t => {
    const error = new Error('the source broke')
    async function* broken() {
      yield 'half'
      await new Promise(resolve => setTimeout(resolve, 200))
      throw error
    }
    const command = client.run({ id: 'half', command: 'cat; sleep 60', input: broken() })
    await t.rejects(command.collect(), error)
    await until(
      async () => (await guestd.request('GET', '/v1/commands/half')).json().cause === 'killed',
    )
  },
)

t.test('input that fails before guestd has answered kills the command too', async t => {
  const error = new Error('the source broke at once')
  const failed = Promise.withResolvers<void>()
  async function* broken() {
    yield 'half'
    failed.resolve()
    throw error
  }
  t.teardown(() => process.kill(guestd.pid, 'SIGCONT'))
  process.kill(guestd.pid, 'SIGSTOP')
  const command = client.run({ id: 'early', command: 'cat; sleep 60', input: broken() })
  const rejected = t.rejects(command.collect(), error)
  await failed.promise
  // A client that gave up here would leave the command running: its request is on its way.
  await new Promise(resolve => setTimeout(resolve, 50))
  process.kill(guestd.pid, 'SIGCONT')
  await rejected
  await until(
    async () => (await guestd.request('GET', '/v1/commands/early')).json().cause === 'killed',
  )
})

t.test('input of a refused request kills no other command', async t => {
  const other = client.run({ id: 'other', command: 'sleep 60' })
  await other.accepted
  const refused = client.run({ id: 'other', command: 'sleep 61', input: LARGE })
  await t.rejects(refused.collect(), { code: 'id_conflict' })
  t.equal((await client.inspect('other')).state, 'running')
  await other.kill()
})

t.test('start takes no input', async t => {
  const request = { command: 'cat', input: 'x' }
  await t.rejects(client.start(request), { code: 'invalid_request', field: 'input' })
})

t.test('20 MB are written before the reading begins', async t => {
  const command = client.run({ command: 'cat', stdin: 'open' })
  await command.stdin.write(LARGE)
  await command.stdin.end()
  const { stdout } = await command.collect({ maxBytes: LARGE.length })
  t.ok(stdout.equals(LARGE))
})

t.test('output that is not read ends a write with an error, not a wait', async t => {
  const made = { closed: false }
  async function* endless(): AsyncGenerator<Frame> {
    try {
      for (let cursor = 1000; ; cursor += 1000)
        yield { type: 'output', stream: 'stdout', cursor, bytes: new Uint8Array(1000) }
    } finally {
      made.closed = true
    }
  }
  const ahead = createReadAhead(endless(), 10_000)
  await t.rejects(ahead.during(new Promise(() => {})), /^.*more than 10000 bytes of output wait/)
  let bytes = 0
  for await (const frame of ahead.frames) {
    if (frame.type === 'output') bytes += frame.bytes.length
    if (bytes === 20_000) break
  }
  t.equal(bytes, 20_000, 'what was read ahead comes first, then the rest')
  t.ok(made.closed)
})

t.test('the result needs no reader', async t => {
  const { exitCode, stdoutBytes } = await client.run({
    command: 'head -c 30000000 /dev/zero; exit 6',
  }).result
  t.same({ exitCode, stdoutBytes }, { exitCode: 6, stdoutBytes: 30_000_000 })
  await t.rejects(client.run({ command: 'true', cwd: '/nowhere' }).result, {
    code: 'cwd_not_found',
  })
})

t.test('a caller that asks for the result first can still read all frames', async t => {
  const command = client.run({ command: 'echo one; sleep 0.2; echo two; exit 7' })
  const { result } = command
  await command.accepted
  const text: string[] = []
  for await (const frame of command)
    if (frame.type === 'output') text.push(Buffer.from(frame.bytes).toString())
  t.equal(text.join(''), 'one\ntwo\n')
  t.equal((await result).exitCode, 7)
  t.equal((await command.result).exitCode, 7)
})
