/** A guest whose kernel takes connections and whose guestd answers nothing: SIGSTOP. */

import t, { type Test } from 'tap'
import { createClient, type GuestdClient } from '../../src/client/index.ts'
import { startGuestctl } from '../helpers/guestctl.ts'
import { type Guestd, startGuestd } from '../helpers/guestd.ts'

const LIMIT_MS = 400

/** Above all that a call may take here, far below any default. */
const TOO_LONG_MS = 20_000

function freeze(t: Test, guestd: Guestd): void {
  process.kill(guestd.pid, 'SIGSTOP')
  t.teardown(() => process.kill(guestd.pid, 'SIGCONT'))
}

function clientOf(t: Test, guestd: Guestd, requestTimeoutMs = LIMIT_MS): GuestdClient {
  const client = createClient({
    connect: guestd.connect,
    requestTimeoutMs,
    reattachLimitMs: 1_000,
  })
  t.teardown(() => client.close())
  return client
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

t.test('every call to a frozen guest ends with a timeout', async t => {
  const guestd = await startGuestd(t)
  const client = clientOf(t, guestd)
  // Connections of the pool are frozen too.
  await client.session()
  freeze(t, guestd)
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    session: () => client.session(),
    health: () => client.health(),
    list: () => client.list(),
    inspect: () => client.inspect('x'),
    kill: () => client.kill('x'),
    signal: () => client.signal('x', 'SIGTERM'),
    assignSession: () => client.assignSession({ id: 's' }),
    flush: () => client.flush(),
    largest: () => client.largest(),
    stop: () => client.stop(),
    start: () => client.start({ command: 'true' }),
    run: () => client.run({ command: 'true' }).collect(),
    attach: () => client.attach('x').collect(),
    output: () => drain(client.output('x')),
    events: () => drain(client.events({ follow: true })),
    stdin: async () => {
      const stdin = client.stdin('x')
      await stdin.write('bytes')
      await stdin.end()
    },
  }
  const began = performance.now()
  await Promise.all(
    Object.entries(calls).map(async ([name, call]) => {
      const message = new RegExp(` within ${LIMIT_MS} ms`)
      await t.rejects(call(), { name: 'ConnectError', code: 'timeout', message }, name)
    }),
  )
  t.ok(performance.now() - began < TOO_LONG_MS)
})

t.test('a stream to a guest that freezes is given up after the limit for re-attaching', async t => {
  const guestd = await startGuestd(t, { config: { keepaliveMs: 50 } })
  const client = clientOf(t, guestd, 2_000)
  const command = client.run({ command: 'echo on; sleep 60' })
  const began = performance.now()
  const read = async () => {
    for await (const frame of command) {
      if (frame.type !== 'output') continue
      t.equal(Buffer.from(frame.bytes).toString(), 'on\n')
      freeze(t, guestd)
    }
  }
  await t.rejects(read(), { name: 'ConnectError', code: 'timeout' })
  await t.rejects(command.result, { code: 'timeout' })
  t.ok(performance.now() - began < TOO_LONG_MS)
})

t.test('a stream is re-attached to a guest that was frozen and continues', async t => {
  const guestd = await startGuestd(t, { config: { keepaliveMs: 50 } })
  const client = createClient({ connect: guestd.connect })
  t.teardown(() => client.close())
  const command = client.run({ command: 'echo on; sleep 1; echo off' })
  const text: string[] = []
  for await (const frame of command) {
    if (frame.type !== 'output') continue
    text.push(Buffer.from(frame.bytes).toString())
    if (text.length > 1) continue
    process.kill(guestd.pid, 'SIGSTOP')
    // Beyond the silence that a stream may have, which is 5 s here.
    setTimeout(() => process.kill(guestd.pid, 'SIGCONT'), 6_500)
  }
  t.equal(text.join(''), 'on\noff\n')
  t.equal((await command.result).exitCode, 0)
})

t.test('what waits for a command takes as long as the command does', async t => {
  const guestd = await startGuestd(t)
  const client = clientOf(t, guestd, 1_500)
  const input = Buffer.alloc(3_000_000, 'x')
  const command = client.run({ command: 'sleep 4; wc -c', stdin: 'open' })
  const written = (async () => {
    await command.stdin.write(input)
    await command.stdin.end()
  })()
  const { stdout } = await command.collect()
  await written
  t.equal(stdout.toString().trim(), String(input.length))
})

t.test('silence of guestctl itself, as by Ctrl-Z, is no loss', async t => {
  const guestd = await startGuestd(t, { config: { keepaliveMs: 50 } })
  const running = startGuestctl(['run', '--verbose', '--', 'echo on; sleep 8; echo off'], {
    connect: guestd.connect,
  })
  await running.untilOutput('on')
  running.child.kill('SIGSTOP')
  await new Promise(resolve => setTimeout(resolve, 6_500))
  running.child.kill('SIGCONT')
  const { code, out, err } = await running.ended
  t.same({ code, out, err }, { code: 0, out: 'on\noff\n', err: '' })
})

t.test('streams name the interval of their keepalives', async t => {
  const guestd = await startGuestd(t, { config: { keepaliveMs: 61_000 } })
  const run = await guestd.request('POST', '/v1/commands', { body: { id: 'a', command: 'true' } })
  const output = await guestd.request('GET', '/v1/commands/a/output')
  const events = await guestd.request('GET', '/v1/events')
  for (const reply of [run, output, events]) t.equal(reply.headers['guestd-keepalive-ms'], '61000')
})

t.test('the third signal ends guestctl, of whichever kind it is', async t => {
  for (const [signals, code] of [
    [['SIGTERM', 'SIGTERM', 'SIGTERM'], 143],
    [['SIGHUP', 'SIGHUP', 'SIGHUP'], 129],
    [['SIGTERM', 'SIGINT', 'SIGQUIT'], 131],
  ] as const) {
    const guestd = await startGuestd(t)
    const { connect } = guestd
    const running = startGuestctl(['run', '--', 'echo on; sleep 60'], { connect })
    await running.untilOutput('on')
    freeze(t, guestd)
    for (const signal of signals) {
      t.equal(running.child.exitCode, null)
      running.child.kill(signal)
      await new Promise(resolve => setTimeout(resolve, 200))
    }
    t.equal((await running.ended).code, code)
  }
})

t.test('guestctl that was not answered yet is ended by three signals too', async t => {
  const guestd = await startGuestd(t)
  freeze(t, guestd)
  const { child, ended } = startGuestctl(['run', '--', 'true'], { connect: guestd.connect })
  // The program has to have begun: before that the first signal ends it.
  await new Promise(resolve => setTimeout(resolve, 1_500))
  for (let count = 0; count < 3; count += 1) {
    child.kill('SIGTERM')
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  t.equal((await ended).code, 143)
})
