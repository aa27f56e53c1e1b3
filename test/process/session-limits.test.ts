import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { SessionInfo } from '../../src/protocol/schemas.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { infoOf, putSession } from '../helpers/session.ts'

const HOUR_MS = 3_600_000

async function ended(on: Guestd): Promise<SessionInfo> {
  await until(async () => (await infoOf(on)).state === 'stopped', 60_000)
  return await infoOf(on)
}

async function eventTypes(on: Guestd): Promise<string[]> {
  const { text } = await on.request('GET', '/v1/events')
  return [...text.matchAll(/^\{"type":"(\w+)"/gm)].map(([, type = '']) => type)
}

t.test('a session without work is stopped, and says why; looking at it is no work', async t => {
  const guestd = await startGuestd(t)
  await run(guestd, { id: 'a', command: 'echo hi' })
  await putSession(guestd, { id: 's', idleMs: 400 })
  let looking = true
  const looks = (async () => {
    while (looking) {
      for (const path of ['/healthz', '/v1/events', '/v1/commands', '/v1/commands/a/output'])
        await guestd.request('GET', path)
    }
  })()
  const info = await ended(guestd)
  looking = false
  await looks
  matchExactly(t, info, { reason: 'idle', idleMs: 400, endsAt: null, lastStop: { reason: 'idle' } })
  t.same((await eventTypes(guestd)).slice(-3), ['idle_limit', 'stopping', 'stopped'])
  t.match(guestd.log(), /"limit":"idle".*a limit of the session is reached/)
  const { out } = await guestctl(['status'], { connect: guestd.connect })
  t.match(out, /^Stopped by: +its idle limit$/m)
  t.equal(await guestd.stop(), 0)
})

t.test('the settings alone end a session without requests', async t => {
  const guestd = await startGuestd(t, { config: { idleMs: 50 } })
  t.equal((await ended(guestd)).reason, 'idle')
})

t.test('a command that runs keeps the session, however long it takes', async t => {
  const guestd = await startGuestd(t)
  const running = run(guestd, { command: 'sleep 2' })
  await until(async () => (await infoOf(guestd)).commands.running === 1)
  await putSession(guestd, { id: 's', idleMs: 200 })
  t.match((await running).exit, { cause: 'exit', exitCode: 0 })
  t.equal((await ended(guestd)).reason, 'idle')
})

t.test('what a command leaves running is no work, unless the settings say so', async t => {
  const loose = await startGuestd(t)
  await run(loose, { command: '(sleep 600; touch done) >/dev/null 2>&1 &' })
  await putSession(loose, { id: 's', idleMs: 200 })
  t.equal((await ended(loose)).reason, 'idle')

  const guestd = await startGuestd(t, { config: { busyDescendants: true } })
  await run(guestd, { command: '(sleep 2; touch done) >/dev/null 2>&1 &' })
  await putSession(guestd, { id: 's', idleMs: 200 })
  t.equal((await ended(guestd)).reason, 'idle')
  t.ok(existsSync(join(guestd.workspace, 'done')))
})

t.test('the lifetime ends a session at work, and its commands as any stop does', async t => {
  const guestd = await startGuestd(t)
  const running = run(guestd, { command: 'sleep 600' })
  await until(async () => (await infoOf(guestd)).commands.running === 1)
  await putSession(guestd, { id: 's', lifetimeMs: 1 })
  t.equal((await running).exit.cause, 'stopped')
  t.match(await ended(guestd), { reason: 'lifetime', lastStop: { reason: 'lifetime' } })
  t.ok((await eventTypes(guestd)).includes('lifetime_limit'))
})

t.test('a restart of guestd does not begin the lifetime anew', async t => {
  const guestd = await startGuestd(t, { config: { lifetimeMs: HOUR_MS } })
  const kept = join(guestd.dir, 'run/boot.json')
  const before = readFileSync(kept, 'utf8')
  await guestd.kill()
  await guestd.start()
  t.equal(readFileSync(kept, 'utf8'), before)
  t.equal((await infoOf(guestd)).state, 'ready')
  await guestd.kill()
  const { bootId, content } = JSON.parse(before)
  const anHourAgo = { firstStartMs: content.firstStartMs - HOUR_MS }
  writeFileSync(kept, JSON.stringify({ bootId, content: anHourAgo }))
  await guestd.start()
  t.equal((await ended(guestd)).reason, 'lifetime')
  await guestd.stop()
  // Of another boot it says nothing.
  writeFileSync(kept, JSON.stringify({ bootId: 'other', content: anHourAgo }))
  const stop = join(guestd.dir, 'run/stop.json')
  writeFileSync(stop, readFileSync(stop, 'utf8').replace(bootId, 'other'))
  await guestd.start()
  t.equal((await infoOf(guestd)).state, 'ready')
})

t.test('the host sets both limits, over the settings, and they outlive a restart', async t => {
  const guestd = await startGuestd(t, { config: { idleMs: 2 * HOUR_MS, lifetimeMs: 2 * HOUR_MS } })
  const limits = { idleMs: HOUR_MS, lifetimeMs: 0 }
  t.equal((await putSession(guestd, { id: 's', ...limits })).status, 200)
  t.match(await infoOf(guestd), limits)
  await guestd.kill()
  await guestd.start()
  matchExactly(t, await infoOf(guestd), { ...limits, state: 'ready' })
  t.match((await putSession(guestd, { id: 't', idleMs: 300 })).json(), { code: 'session_set' })
  t.match((await putSession(guestd, { id: 's', idleMs: -1 })).json(), { field: 'idleMs' })

  const other = await startGuestd(t)
  matchExactly(t, await infoOf(other), { idleMs: 0, lifetimeMs: 0, endsAt: null })
  await putSession(other, { id: 's', idleMs: 200 })
  t.equal((await ended(other)).reason, 'idle')
})

t.test('the session has the time at which it ends and since when it is idle', async t => {
  const guestd = await startGuestd(t, { config: { idleMs: HOUR_MS } })
  const idle = await infoOf(guestd)
  const left = Date.parse(idle.endsAt ?? '') - Date.parse(idle.idleSince ?? '')
  t.ok(Math.abs(left - HOUR_MS) < 1_000, `${left}`)
  await guestd.request('POST', '/v1/commands', {
    body: { id: 'a', command: 'sleep 600', detach: true },
  })
  matchExactly(t, await infoOf(guestd), { idleSince: null, endsAt: null })
  const { connect } = guestd
  t.match(
    (await guestctl(['status'], { connect })).out,
    /^Ends: +after 1h0m without work; there is work$/m,
  )
  await guestd.request('DELETE', '/v1/commands/a')
  await until(async () => (await infoOf(guestd)).idleSince !== null)
  t.match(
    (await guestctl(['status'], { connect })).out,
    /^Ends: .*idle since .*\n +at \S+Z at the earliest$/m,
  )
})

t.test("the session's limits are those of commands that ask for none", async t => {
  const guestd = await startGuestd(t, { config: { limits: { nofile: 300 } } })
  const nofile = async (body: object = {}) =>
    (await run(guestd, { command: 'ulimit -n', ...body })).stdout.trim()
  t.equal(await nofile(), '300')
  t.equal((await putSession(guestd, { id: 's', limits: { nofile: 200 } })).status, 200)
  t.equal((await infoOf(guestd)).limits.nofile, 200)
  t.equal(await nofile(), '200')
  t.equal(await nofile({ limits: { nofile: 100 } }), '100')
  await guestd.kill()
  await guestd.start()
  t.equal(await nofile(), '200')
})

t.test('a hand-over that cannot be kept is refused, and another may follow', async t => {
  const guestd = await startGuestd(t)
  const bad = [
    [{ limits: { nofile: 0 } }, 'limits.nofile'],
    [{ limits: { other: 1 } }, 'limits.other'],
    [{ env: { A: 'x'.repeat(131_072) } }, 'env.A'],
    [{ agentEnv: {} }, 'agentEnv'],
    [{ lifetimeMs: 2 ** 31 }, 'lifetimeMs'],
  ] as const
  for (const [fields, field] of bad) {
    const reply = await putSession(guestd, { id: 's', ...fields })
    t.match(reply.json(), { code: 'invalid_request', field }, field)
  }
  const { cgroup } = await infoOf(guestd)
  const limits = { memoryBytes: 2 ** 30 }
  const reply = await putSession(guestd, { id: 's', limits })
  if (cgroup.limits.includes('memory')) t.equal(reply.status, 200)
  else t.match(reply.json(), { code: 'limit_unavailable', field: 'limits.memoryBytes' })
  t.equal(
    (await putSession(guestd, { id: 's', ...(reply.status === 200 && { limits }) })).status,
    200,
  )
})

t.test('guestctl session set hands a session over', async t => {
  const guestd = await startGuestd(t)
  const { connect } = guestd
  const args = ['session', 'set', '--id', 's-1', '-e', 'A=1', '--idle', '30m', '--lifetime', '8h']
  const more = ['--runtime-version', '7', '--nofile', '222']
  t.match(await guestctl([...args, ...more], { connect }), { code: 0, out: 's-1\n', err: '' })
  t.match(await infoOf(guestd), {
    id: 's-1',
    idleMs: 1_800_000,
    lifetimeMs: 28_800_000,
    limits: { nofile: 222 },
  })
  t.equal((await run(guestd, { command: 'echo $A' })).stdout, '1\n')
  const again = await guestctl([...args, ...more, '--json'], { connect })
  t.match(JSON.parse(again.out), { id: 's-1' })
  t.match(await guestctl(args, { connect }), { code: 125, err: /session_set/ })
  const wrong = [
    [['session'], 'session: say what to do: set'],
    [['session', 'get'], "there is no 'session get': set"],
    [['session', 'set'], '--id ID is missing'],
    [['session', 'set', 'x', '--id', 's'], "'x' is one argument too many"],
    [['session', 'set', '--id', 's', '--idle', 'x'], "--idle: 'x' is not a duration"],
  ] as const
  for (const [words, text] of wrong)
    t.match(await guestctl([...words], { connect }), { code: 125, err: text })
})
