import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createClient, type Frame } from '../../src/client/index.ts'
import { type CuttingProxyOptions, startCuttingProxy } from '../helpers/cutting-proxy.ts'
import {
  endFrame,
  exitFrame,
  type FakeGuestOptions,
  startFakeGuest,
  startFrame,
} from '../helpers/fake-guest.ts'
import { makeScratch } from '../helpers/scratch.ts'

async function withGuest(
  t: Test,
  options: Omit<FakeGuestOptions, 'listen'> = {},
  limits?: CuttingProxyOptions['limits'],
  clientOptions: { reattachLimitMs?: number } = {},
) {
  const scratch = makeScratch(t)
  const path = join(scratch, 'guest')
  const guest = await startFakeGuest({ listen: { path }, ...options })
  t.teardown(() => guest.close())
  const front = limits === undefined ? null : join(scratch, 'front')
  const proxy =
    front && limits ? await startCuttingProxy({ path: front, target: path, limits }) : null
  if (proxy) t.teardown(() => proxy.close())
  const client = createClient({ connect: `unix:${front ?? path}`, ...clientOptions })
  t.teardown(() => client.close())
  return { guest, proxy, client, path }
}

async function readAll(frames: AsyncIterable<Frame>) {
  const types: string[] = []
  const output: Buffer[] = []
  for await (const frame of frames) {
    if (frame.type === 'output') output.push(Buffer.from(frame.bytes))
    else types.push(frame.type)
  }
  return { types, output: Buffer.concat(output) }
}

/** The same numbers each time, so that a failure can be had again. */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

t.test('a run gives its frames, its result and its connection back', async t => {
  const output = randomBytes(100_000)
  const { guest, client } = await withGuest(t, { output })
  for (let round = 0; round < 3; round += 1) {
    const command = client.run({ command: 'true' })
    t.same(await readAll(command), { types: ['start', 'exit', 'end'], output })
    t.match(await command.result, { id: command.id, exitCode: 0, stdoutBytes: 100_000 })
    t.throws(() => command[Symbol.asyncIterator](), { message: /only once/ })
  }
  t.equal(guest.commands.size, 3)
})

t.test('300 random cuts give the exact stream', async t => {
  const random = createRandom(7)
  const output = randomBytes(1_300_000)
  const { guest, proxy, client } = await withGuest(t, { output }, connection =>
    connection < 300 ? { down: random(9_000) } : {},
  )
  const command = client.run({ command: 'true' })
  const read = await readAll(command)
  t.same(read.types, ['start', 'exit', 'end'])
  t.ok(read.output.equals(output), 'each byte once, in order')
  t.equal(guest.commands.size, 1, 'it ran once')
  t.ok((proxy?.cuts ?? 0) === 300, `${proxy?.cuts} cuts`)
})

t.test('a request cut before its reply is repeated with the same id and body', async t => {
  const { guest, client } = await withGuest(t, {}, connection =>
    connection < 4 ? (connection % 2 === 0 ? { down: 0 } : { up: 50 }) : {},
  )
  const command = client.run({ command: 'true', env: { A: 'b' } })
  await command.collect()
  t.equal(guest.commands.size, 1)
  t.ok(guest.requests.filter(line => line === 'POST /v1/commands').length >= 2)
})

t.test('a gap is passed on, and counted in the end', async t => {
  const output = randomBytes(64 * 1024)
  const { client } = await withGuest(t, { output, heldFrom: 40_000 }, connection =>
    connection === 0 ? { down: 20_000 } : {},
  )
  const frames: Frame[] = []
  for await (const frame of client.run({ command: 'true' })) frames.push(frame)
  const gap = frames.find(frame => frame.type === 'gap')
  t.match(gap, { to: 40_000, cursor: 40_000 })
  const read = frames.flatMap(frame => (frame.type === 'output' ? [frame.bytes] : []))
  const from = gap?.type === 'gap' ? gap.from : 0
  t.ok(from > 0 && from < 20_000)
  t.ok(
    Buffer.concat(read).equals(Buffer.concat([output.subarray(0, from), output.subarray(40_000)])),
  )
  t.match(frames.at(-1), { type: 'end', truncated: 40_000 - from })
})

t.test('a guest that stays away is given up after the limit, with the code', async t => {
  const { guest, client } = await withGuest(t, { output: randomBytes(1_000_000) }, undefined, {
    reattachLimitMs: 300,
  })
  const command = client.run({ command: 'true' })
  const started = performance.now()
  const reading = (async () => {
    for await (const frame of command) if (frame.type === 'start') void guest.close()
  })()
  await t.rejects(reading, { name: 'ConnectError', code: /lost|no_socket|refused/ })
  await t.rejects(command.result, { name: 'ConnectError' })
  t.ok(performance.now() - started < 3_000)
})

t.test('a refusal is a GuestdError with its code and field, and is not repeated', async t => {
  const { guest, client } = await withGuest(t, {
    intercept: (_request, response) => {
      response.writeHead(422, { 'content-type': 'application/problem+json' })
      const detail = '/nowhere does not exist'
      response.end(JSON.stringify({ code: 'cwd_not_found', detail, field: 'cwd', status: 422 }))
      return true
    },
  })
  const refusal = { name: 'GuestdError', code: 'cwd_not_found', field: 'cwd' }
  const command = client.run({ command: 'true', cwd: '/nowhere' })
  await t.rejects(command.accepted, refusal)
  await t.rejects(command.collect(), refusal)
  await t.rejects(command.result, refusal)
  await t.rejects(command.kill(), refusal)
  t.equal(guest.requests.length, 1)
})

t.test('a refusal settles the result of a command that is not read', async t => {
  const { client } = await withGuest(t, {
    intercept: (_request, response) => {
      response.writeHead(422, { 'content-type': 'application/problem+json' })
      response.end(JSON.stringify({ code: 'cwd_not_found', detail: '/x', status: 422 }))
      return true
    },
  })
  await t.rejects(client.run({ command: 'true', cwd: '/x' }).result, { code: 'cwd_not_found' })
})

t.test('a consumer that waits makes the guest wait', async t => {
  const output = Buffer.alloc(64 * 1024 * 1024)
  const { guest, client } = await withGuest(t, { output })
  const command = client.run({ command: 'true' })
  const frames = command[Symbol.asyncIterator]()
  await frames.next()
  await sleep(300)
  const stalled = guest.writtenBytes
  t.ok(stalled < 4 * 1024 * 1024, `${stalled} bytes left the guest`)
  await sleep(200)
  t.equal(guest.writtenBytes, stalled)
  await frames.return?.()
})

t.test('breaking out of the iteration closes the connection', async t => {
  const { guest, client } = await withGuest(t, { output: Buffer.alloc(64 * 1024 * 1024) })
  const command = client.run({ command: 'true' })
  for await (const frame of command) if (frame.type === 'output') break
  await t.rejects(command.result, { message: /were not read to their end/ })
  await t.resolves(untilZero(() => guest.openStreams))
  t.equal(guest.requests.length, 1, 'and does not re-attach')
})

t.test('an aborted signal closes the connection and is what the reader gets', async t => {
  const { guest, client } = await withGuest(t, {
    output: Buffer.alloc(64 * 1024 * 1024),
  })
  const reason = new Error('enough')
  const controller = new AbortController()
  const command = client.run({ command: 'true' }, { signal: controller.signal })
  const reading = (async () => {
    for await (const frame of command) if (frame.type === 'output') controller.abort(reason)
  })()
  await t.rejects(reading, reason)
  await t.resolves(untilZero(() => guest.openStreams))
  const aborted = client.run({ command: 'true' }, { signal: AbortSignal.abort(reason) })
  await t.rejects(aborted.collect(), reason)
})

t.test('a signal that fires while nothing comes ends the wait', async t => {
  const { client } = await withGuest(t, {
    intercept: (_request, response) => {
      response.writeHead(200)
      response.flushHeaders()
      return true
    },
  })
  await t.rejects(client.run({ command: 'true' }, { signal: AbortSignal.timeout(100) }).collect(), {
    name: 'TimeoutError',
  })
})

t.test('collect keeps the last bytes of each stream', async t => {
  const frames: Frame[] = [startFrame('a', 0)]
  for (let cursor = 100; cursor <= 1_000; cursor += 100) {
    const bytes = Buffer.from(`${cursor}`.padStart(100))
    frames.push({ type: 'output', stream: cursor < 900 ? 'stdout' : 'stderr', cursor, bytes })
  }
  frames.push(exitFrame(1_000, { exitCode: 3 }), endFrame(1_000, { descendants: 2 }))
  const { client } = await withGuest(t, { frames })
  const result = await client.run({ command: 'true' }).collect({ maxBytes: 250 })
  t.match(result, { exitCode: 3, descendants: 2 })
  const written = `${'600'.padStart(100)}${'700'.padStart(100)}${'800'.padStart(100)}`
  t.equal(result.stdout.toString(), written.slice(-250))
  t.equal(result.stderr.toString(), '900'.padStart(100) + '1000'.padStart(100))
  t.equal(result.stdoutCut, 550)
  t.equal(result.stderrCut, 0)
})

t.test('collect refuses a limit that is no whole number from 0', async t => {
  const { client } = await withGuest(t, {
    frames: [startFrame('a', 0), exitFrame(0, {}), endFrame(0, {})],
  })
  for (const maxBytes of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    const command = client.run({ command: 'true' })
    await t.rejects(command.collect({ maxBytes }), { code: 'invalid_request', field: 'maxBytes' })
    for await (const _ of command);
  }
})

t.test('a detached start is repeated after a loss, and runs once', async t => {
  const { guest, client } = await withGuest(t, {}, connection =>
    connection === 0 ? { down: 20 } : {},
  )
  const { id } = await client.start({ command: 'true' })
  t.same([...guest.commands.keys()], [id])
  t.match(guest.commands.get(id)?.body, /"detach":true/)
})

t.test('a call cut before its reply is sent again only where that changes nothing', async t => {
  const { guest, client } = await withGuest(t, {
    intercept: (_request, response) => {
      response.destroy()
      return true
    },
  })
  await t.rejects(client.kill('a'), { code: 'lost' })
  t.same(guest.requests, ['DELETE /v1/commands/a', 'DELETE /v1/commands/a'])
  await t.rejects(client.signal('a', 'SIGINT'), { code: 'lost' })
  t.equal(guest.requests.filter(line => line.startsWith('POST')).length, 1)
})

async function untilZero(count: () => number): Promise<void> {
  for (let tries = 0; count() > 0; tries += 1) {
    if (tries > 100) throw new Error(`still ${count()}`)
    await sleep(20)
  }
}
