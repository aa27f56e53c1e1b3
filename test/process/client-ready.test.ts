import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  type ClientOptions,
  ConnectError,
  createClient,
  type GuestdClient,
} from '../../src/client/index.ts'
import { guestctl, startGuestctl } from '../helpers/guestctl.ts'
import { startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** Above any normal start on a busy machine. */
const LONG_MS = 60_000

function clientOf(t: Test, connect: string, options: Partial<ClientOptions> = {}): GuestdClient {
  const client = createClient({ connect, ...options })
  t.teardown(() => client.close())
  return client
}

const soon = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

t.test('ready waits for a guestd that is not there yet', async t => {
  const guestd = await startGuestd(t)
  await guestd.stop()
  const client = clientOf(t, guestd.connect)
  const ready = client.ready({ timeoutMs: LONG_MS })
  await t.rejects(client.health(), { name: 'ConnectError', retryable: true })
  await soon(300)
  await guestd.start()
  t.same(await ready, { alive: true, ready: true, reasons: [] })
})

t.test('ready waits for a session that guestd waits for, and answers is enough before', async t => {
  const guestd = await startGuestd(t, { config: { requireSession: true } })
  const client = clientOf(t, guestd.connect)
  t.match(await client.ready({ timeoutMs: 0, until: 'answers' }), { alive: true, ready: false })
  const error = await client.ready({ timeoutMs: 200 }).catch((thrown: unknown) => thrown)
  t.ok(error instanceof ConnectError)
  t.match(error, { code: 'not_ready', retryable: true, message: /PUT \/v1\/session/ })
  const ready = client.ready({ timeoutMs: LONG_MS })
  await client.assignSession({ id: 's' })
  t.match(await ready, { ready: true })
})

t.test('ready ends at its limit with the last error, and at once by its signal', async t => {
  const client = clientOf(t, `unix:${join(makeScratch(t), 'none')}`)
  await t.rejects(client.ready({ timeoutMs: 200 }), { code: 'no_socket', retryable: true })
  const giveUp = new AbortController()
  const ready = client.ready({ timeoutMs: LONG_MS, signal: giveUp.signal })
  const reason = new Error('enough')
  setTimeout(() => giveUp.abort(reason), 50)
  await t.rejects(ready, reason)
})

t.test('ready does not wait for what cannot come', async t => {
  const guestd = await startGuestd(t)
  const client = clientOf(t, guestd.connect)
  await client.stop()
  await t.rejects(client.ready({ timeoutMs: LONG_MS }), { name: 'GuestdError', code: 'stopped' })
  t.match(await client.ready({ timeoutMs: 0, until: 'answers' }), { ready: false })
})

t.test('a guest that is frozen is waited for until the limit', async t => {
  const guestd = await startGuestd(t)
  const client = clientOf(t, guestd.connect)
  process.kill(guestd.pid, 'SIGSTOP')
  const undo = () => process.kill(guestd.pid, 'SIGCONT')
  await t.rejects(client.ready({ timeoutMs: 500 }), { code: 'timeout', retryable: true })
  const ready = client.ready({ timeoutMs: LONG_MS })
  undo()
  t.match(await ready, { ready: true })
})

t.test('with connectRetryMs first calls wait, each carried out once', async t => {
  const guestd = await startGuestd(t)
  await guestd.stop()
  const client = clientOf(t, guestd.connect, { connectRetryMs: LONG_MS })
  const command = client.run({ command: 'echo once >> file; cat file' })
  const calls = [command.collect(), client.start({ command: 'true' }), client.list()] as const
  await soon(300)
  await guestd.start()
  const [{ stdout }] = await Promise.all(calls)
  t.equal(stdout.toString(), 'once\n')
})

t.test('guestctl --wait waits until it can do what is asked', async t => {
  const guestd = await startGuestd(t, { config: { requireSession: true } })
  const { connect } = guestd
  const notReady = await guestctl(['status', '--wait', '0'], { connect })
  t.equal(notReady.code, 125)
  t.match(notReady.err, /^guestctl: the guestd at unix:\S+ answers, but is not ready \(/)
  t.equal((await guestctl(['status'], { connect })).code, 0)
  await guestd.stop()
  const gone = await guestctl(['--wait', '100ms', 'ps'], { connect })
  t.equal(gone.code, 125)
  const set = startGuestctl(['--wait', '60s', 'session', 'set', '--id', 's'], { connect })
  const run = startGuestctl(['run', '--wait', '60s', '--', 'echo ran; exit 3'], { connect })
  await soon(300)
  await guestd.start()
  t.match(await set.ended, { code: 0, out: 's\n' })
  t.match(await run.ended, { code: 3, out: 'ran\n' })
  t.equal((await guestctl(['--wait', '0', 'status'], { connect })).code, 0)
})

t.test('errors of both kinds say whether the same call can succeed later', async t => {
  const guestd = await startGuestd(t, { config: { maxCommands: 1 } })
  const client = clientOf(t, guestd.connect)
  await client.start({ command: 'sleep 60' })
  await t.rejects(client.start({ command: 'true' }), {
    code: 'too_many_commands',
    retryable: true,
  })
  await t.rejects(client.inspect('none'), { code: 'command_not_found', retryable: false })
  for (const [code, retryable] of [
    ['refused', true],
    ['timeout', true],
    ['not_ready', true],
    ['forbidden', false],
    ['wrong_socket', false],
    ['bad_address', false],
  ] as const)
    t.equal(new ConnectError(code, 'unix:/x').retryable, retryable, code)
})
