import t from 'tap'
import { ConnectError } from '../../../src/client/connect-error.ts'
import { createReconnectPolicy } from '../../../src/client/reconnect-policy.ts'
import { GuestdError } from '../../../src/errors.ts'

/** A limit that nothing here comes near, on a slow machine either. */
const LONG_MS = 120_000

const lost = () => new ConnectError('lost', 'unix:/x')
const refused = () => new ConnectError('refused', 'unix:/x')
const make = (limitMs: number, isProven = true) => {
  const losses: string[] = []
  const onLost = (error: ConnectError | GuestdError) => losses.push(error.code)
  return { losses, reconnect: createReconnectPolicy({ limitMs, isProven: () => isProven, onLost }) }
}

t.test('the first failure is worth another attempt only if a connection stood', async t => {
  for (const code of ['refused', 'no_socket', 'no_guest_listener', 'timeout'] as const) {
    const error = new ConnectError(code, 'unix:/x')
    await t.rejects(make(LONG_MS).reconnect.waitBeforeRetry(error, undefined), error, code)
    const { reconnect, losses } = make(LONG_MS)
    await reconnect.waitBeforeRetry(lost(), undefined)
    await reconnect.waitBeforeRetry(error, undefined)
    t.same(losses, ['lost', code])
  }
})

t.test('what cannot pass is not waited for', async t => {
  for (const error of [
    new ConnectError('forbidden', 'unix:/x'),
    new ConnectError('wrong_socket', 'unix:/x'),
    new ConnectError('version_mismatch', 'unix:/x'),
    new GuestdError('command_not_found', 'gone'),
    new Error('else'),
  ]) {
    const { reconnect } = make(LONG_MS)
    await reconnect.waitBeforeRetry(lost(), undefined)
    await t.rejects(reconnect.waitBeforeRetry(error, undefined), error)
  }
})

t.test('a guestd that starts again is waited for', async t => {
  const { reconnect } = make(LONG_MS)
  await t.rejects(reconnect.waitBeforeRetry(new GuestdError('starting', 'x'), undefined), {
    code: 'starting',
  })
  await reconnect.waitBeforeRetry(lost(), undefined)
  await t.resolves(reconnect.waitBeforeRetry(new GuestdError('starting', 'x'), undefined))
})

t.test('the limit ends it, and anything new begins it again', async t => {
  const { reconnect } = make(200)
  const began = performance.now()
  await reconnect.waitBeforeRetry(lost(), undefined)
  await t.rejects(
    (async () => {
      for (;;) await reconnect.waitBeforeRetry(refused(), undefined)
    })(),
    { code: 'refused' },
  )
  const took = performance.now() - began
  t.ok(took > 50 && took < LONG_MS, `${took} ms`)
  reconnect.reset()
  await t.resolves(reconnect.waitBeforeRetry(lost(), undefined))
})

t.test('a connection that stood in silence does not count against the limit', async t => {
  const { reconnect } = make(100)
  for (let round = 0; round < 3; round += 1) {
    await reconnect.waitBeforeRetry(lost(), undefined)
    // As long as the limit, connected all the while.
    await new Promise(resolve => setTimeout(resolve, 120))
  }
  t.pass('it goes on')
})

t.test('an address that never answered is given up sooner', async t => {
  const { reconnect } = make(LONG_MS, false)
  const began = performance.now()
  await t.rejects(
    (async () => {
      for (;;) await reconnect.waitBeforeRetry(lost(), undefined)
    })(),
    { code: 'lost' },
  )
  t.ok(performance.now() - began < LONG_MS / 2)
})

t.test('without a limit nothing is tried again, and a signal ends the wait', async t => {
  await t.rejects(make(0).reconnect.waitBeforeRetry(lost(), undefined), { code: 'lost' })
  const { reconnect } = make(LONG_MS)
  const controller = new AbortController()
  for (let tries = 0; tries < 5; tries += 1) await reconnect.waitBeforeRetry(lost(), undefined)
  const waiting = reconnect.waitBeforeRetry(lost(), controller.signal)
  controller.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
})
