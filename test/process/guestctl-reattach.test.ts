import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type CuttingProxyOptions, startCuttingProxy } from '../helpers/cutting-proxy.ts'
import { startFakeGuest } from '../helpers/fake-guest.ts'
import { guestctl, startGuestctl } from '../helpers/guestctl.ts'
import { startGuestd } from '../helpers/guestd.ts'

const guestd = await startGuestd(t)
let fronts = 0

async function front(t: Test, limits: CuttingProxyOptions['limits']) {
  fronts += 1
  const path = join(guestd.dir, `front${fronts}`)
  const proxy = await startCuttingProxy({ path, target: guestd.socketPath, limits })
  t.teardown(() => proxy.close())
  return { proxy, connect: `unix:${path}` }
}

function createRandom(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

t.test('connections cut at any byte give the exact output of one run', async t => {
  const bytes = randomBytes(20_000_000)
  writeFileSync(join(guestd.workspace, 'bytes'), bytes)
  const random = createRandom(11)
  const { proxy, connect } = await front(t, () => ({ down: random(1_500_000) }))
  const script = 'echo run >> runs; cat bytes; echo over >&2; exit 6'
  const { code, stdout, err } = await guestctl(['run', '--', script], { connect })
  t.equal(code, 6)
  t.equal(err, 'over\n')
  t.ok(stdout.equals(bytes))
  t.equal(readFileSync(join(guestd.workspace, 'runs'), 'utf8'), 'run\n')
  t.ok(proxy.cuts >= 10, `${proxy.cuts} cuts`)
})

t.test('a request cut before its reply runs once', async t => {
  const { proxy, connect } = await front(t, connection => (connection < 3 ? { down: 0 } : {}))
  const { code, out } = await guestctl(['run', '--', 'echo x >> once; cat once'], { connect })
  t.match({ code, out }, { code: 0, out: 'x\n' })
  t.equal(proxy.cuts, 3)
})

t.test('input over connections that are cut arrives once', async t => {
  const random = createRandom(5)
  const { proxy, connect } = await front(t, connection =>
    connection === 0 || connection > 30 ? {} : { up: random(800_000) },
  )
  const input = randomBytes(6_000_000)
  const { code, stdout } = await guestctl(['run', '-i', '--', 'cat'], { connect, input })
  t.equal(code, 0)
  t.ok(stdout.equals(input))
  t.ok(proxy.cuts >= 3, `${proxy.cuts} cuts`)
})

t.test('a lost connection is printed with --verbose only', async t => {
  const cutOnce = (connection: number) => (connection === 0 ? { down: 100_000 } : {})
  const script = 'head -c 300000 /dev/zero'
  const quiet = await guestctl(['run', '--', script], await front(t, cutOnce))
  t.match(quiet, { code: 0, err: '' })
  t.equal(quiet.stdout.length, 300_000)
  const verbose = await guestctl(['--verbose', 'run', '--', script], await front(t, cutOnce))
  t.match(verbose, { code: 0, err: /^guestctl: trying again: the connection to .* was lost/ })
})

t.test('after a restart of the daemon guestctl asks again and prints what is known', async t => {
  const crashing = await startGuestd(t)
  const running = startGuestctl(['run', '--', 'echo on; sleep 60'], { connect: crashing.connect })
  await running.untilOutput('on')
  await crashing.kill()
  await crashing.start()
  const { code, out, err } = await running.ended
  t.equal(code, 125)
  t.equal(out, 'on\n')
  t.match(err, /guestd was killed while the command ran/)
})

t.test('giving up prints how to find the command', async t => {
  const path = join(guestd.dir, 'fake')
  const fake = await startFakeGuest({
    listen: { path },
    output: randomBytes(100_000),
    intercept: ({ url }, response) => {
      if (!url?.includes('/output')) return false
      response.removeHeader('guestd-version')
      response.end()
      return true
    },
  })
  t.teardown(() => fake.close())
  const cut = join(guestd.dir, 'cut')
  const limits = () => ({ down: 20_000 })
  const proxy = await startCuttingProxy({ path: cut, target: path, limits })
  t.teardown(() => proxy.close())
  const { code, err } = await guestctl(['run', '--id', 'far', '--', 'x'], {
    connect: `unix:${cut}`,
  })
  t.equal(code, 125)
  t.match(
    err,
    /is not guestd.*\nguestctl: the command is far: 'guestctl output --follow far' continues to read it\n$/,
  )
  const nowhere = join(guestd.dir, 'nowhere')
  const refused = await guestctl(['run', '--', 'x'], { connect: `unix:${nowhere}` })
  t.notMatch(refused.err, /the command is/)
})

t.test('with --verbose the same loss is printed once', async t => {
  const { proxy, connect } = await front(t, connection => (connection < 3 ? { down: 0 } : {}))
  const { code, err } = await guestctl(['run', '--verbose', '--', 'true'], { connect })
  t.equal(code, 0)
  t.equal(proxy.cuts, 3)
  t.match(err, /^guestctl: trying again: .*\n$/)
})

t.test('a client that reconnects after the end does not wait for descendants', async t => {
  const began = performance.now()
  let firstRetry: number | undefined
  const { proxy, connect } = await front(t, connection => {
    if (connection === 0) return { down: 600 }
    firstRetry ??= performance.now()
    return performance.now() - firstRetry < 1_500 ? { up: 0 } : {}
  })
  const args = ['run', '--id', 'orphans', '--', 'echo done; sleep 30 & exit 4']
  const { code, out } = await guestctl(args, { connect })
  t.match({ code, out }, { code: 4, out: 'done\n' })
  t.ok(performance.now() - began < 15_000)
  t.ok(proxy.cuts > 1, `${proxy.cuts} cuts`)
  await guestctl(['kill', 'orphans'], { connect })
})
