import t from 'tap'
import { ConnectError } from '../../../src/client/connect-error.ts'
import { createPatience } from '../../../src/client/reconnect-policy.ts'
import { GuestdError } from '../../../src/errors.ts'

/** A limit that nothing here comes near, on a slow machine either. */
const LONG_MS = 120_000

const lost = () => new ConnectError('lost', 'unix:/x')
const refused = () => new ConnectError('refused', 'unix:/x')
const make = (limitMs: number, isProven = true) => {
  const losses: string[] = []
  const onLost = (error: ConnectError | GuestdError) => losses.push(error.code)
  return { losses, patience: createPatience({ limitMs, isProven: () => isProven, onLost }) }
}

t.test('the first failure is worth another attempt only if a connection stood', async t => {
  for (const code of ['refused', 'no_socket', 'no_guest_listener', 'timeout'] as const) {
    const error = new ConnectError(code, 'unix:/x')
    await t.rejects(make(LONG_MS).patience.wait(error, undefined), error, code)
    const { patience, losses } = make(LONG_MS)
    await patience.wait(lost(), undefined)
    await patience.wait(error, undefined)
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
    const { patience } = make(LONG_MS)
    await patience.wait(lost(), undefined)
    await t.rejects(patience.wait(error, undefined), error)
  }
})

t.test('a guestd that starts again is waited for', async t => {
  const { patience } = make(LONG_MS)
  await t.rejects(patience.wait(new GuestdError('starting', 'x'), undefined), { code: 'starting' })
  await patience.wait(lost(), undefined)
  await t.resolves(patience.wait(new GuestdError('starting', 'x'), undefined))
})

t.test('the limit ends it, and anything new begins it again', async t => {
  const { patience } = make(200)
  const began = performance.now()
  await patience.wait(lost(), undefined)
  await t.rejects(
    (async () => {
      for (;;) await patience.wait(refused(), undefined)
    })(),
    { code: 'refused' },
  )
  const took = performance.now() - began
  t.ok(took > 50 && took < LONG_MS, `${took} ms`)
  patience.progress()
  await t.resolves(patience.wait(lost(), undefined))
})

t.test('a connection that stood in silence does not count against the limit', async t => {
  const { patience } = make(100)
  for (let round = 0; round < 3; round += 1) {
    await patience.wait(lost(), undefined)
    // As long as the limit, connected all the while.
    await new Promise(resolve => setTimeout(resolve, 120))
  }
  t.pass('it goes on')
})

t.test('an address that never answered is given up sooner', async t => {
  const { patience } = make(LONG_MS, false)
  const began = performance.now()
  await t.rejects(
    (async () => {
      for (;;) await patience.wait(lost(), undefined)
    })(),
    { code: 'lost' },
  )
  t.ok(performance.now() - began < LONG_MS / 2)
})

t.test('without a limit nothing is tried again, and a signal ends the wait', async t => {
  await t.rejects(make(0).patience.wait(lost(), undefined), { code: 'lost' })
  const { patience } = make(LONG_MS)
  const controller = new AbortController()
  for (let tries = 0; tries < 5; tries += 1) await patience.wait(lost(), undefined)
  const waiting = patience.wait(lost(), controller.signal)
  controller.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
})
