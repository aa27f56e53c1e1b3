import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import {
  type Guestd,
  run as runCommand,
  startGuestd,
  type Teardown,
  until,
} from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, fsck, makeImage, makeMountPoint, mountOptions } from '../helpers/volume.ts'

/** What the calls of a stopped session answer. */
async function answers(guestd: Guestd) {
  const { state, lastStop, reason } = (await guestd.request('GET', '/v1/session')).json()
  const { status, text } = await guestd.request('POST', '/v1/commands', {
    body: { command: 'true', cwd: '/' },
  })
  const ready = (await guestd.request('GET', '/readyz')).status
  return { state, lastStop, reason, run: [status, JSON.parse(text).code], ready }
}

interface Line {
  readonly type: string
  readonly name?: string
  readonly state?: string
}

async function onVolume(t: Teardown & Parameters<typeof makeImage>[0], config: object = {}) {
  const image = makeImage(t)
  const workspace = attach(t, image)
  const at = makeMountPoint(t)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at, ...config } })
  return { guestd, image, at }
}

async function stop(guestd: Guestd): Promise<Line[]> {
  const reply = await guestd.request('POST', '/v1/session/stop')
  if (reply.status !== 200) throw new Error(reply.text)
  const lines = reply.text.trimEnd().split('\n')
  return lines.map(line => JSON.parse(line))
}

const done = (lines: readonly Line[]) =>
  lines.flatMap(({ type, name, state }) =>
    state === 'done' ? [name] : type === 'receipt' ? [type] : [],
  )

t.test('a stop by the API reports its steps, unmounts, and leaves guestd as stopped', async t => {
  const { guestd, image, at } = await onVolume(t)
  await runCommand(guestd, { command: 'echo kept > file' })
  const lines = await stop(guestd)
  t.same(done(lines), ['commands', 'flush', 'trim', 'unmount', 'verify', 'receipt'])
  matchExactly(t, lines.at(-1), {
    type: 'receipt',
    outcome: 'unmount',
    clean: true,
    errors: [],
    heldBy: null,
  })
  t.equal(mountOptions(at), null)
  t.equal(fsck(image).status, 0)

  const info = await infoOf(guestd)
  t.match(info, { state: 'stopped', lastStop: { outcome: 'unmount', clean: true } })
  t.equal((await guestd.request('GET', '/healthz')).status, 200)
  const { reasons } = (await guestd.request('GET', '/readyz')).json()
  t.same(reasons, [{ code: 'stopped', message: 'guestd is stopped' }])
  const others = [
    ['POST', '/v1/commands', { command: 'true', cwd: '/' }],
    ['GET', '/v1/commands', undefined],
    ['POST', '/v1/session/flush', undefined],
    ['GET', '/openapi.json', undefined],
  ] as const
  for (const [method, path, body] of others) {
    const reply = await guestd.request(method, path, body === undefined ? {} : { body })
    t.equal(reply.status, 503, path)
    t.equal(reply.json().code, 'stopped', path)
  }
  t.same(await stop(guestd), lines, 'asked again it is the same stop')
  t.equal(await guestd.stop(), 0)
  t.equal(guestd.log().split('the session is stopped').length, 2)
})

t.test('every caller of a running stop gets all of its steps', async t => {
  const { guestd, at } = await onVolume(t, { killGraceMs: 300 })
  const command = "trap '' TERM; touch begun; sleep 600"
  await guestd.request('POST', '/v1/commands', { body: { command, detach: true } })
  await until(() => existsSync(join(at, 'begun')))
  const first = stop(guestd)
  await until(async () => (await infoOf(guestd)).state === 'stopping')
  const refused = await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
  t.same([refused.status, refused.json().code], [503, 'stopping'])
  const flush = await guestd.request('POST', '/v1/session/flush')
  t.same([flush.status, flush.json().code], [503, 'stopping'])
  const all = await Promise.all([first, stop(guestd), stop(guestd)])
  for (const lines of all) t.same(lines, all[0])
  t.same(done(all[0] ?? []), ['commands', 'flush', 'trim', 'unmount', 'verify', 'receipt'])
})

t.test('a follower that goes away does not end the stop', async t => {
  const { guestd, at } = await onVolume(t, { killGraceMs: 300 })
  const command = "trap '' TERM; touch begun; sleep 600"
  await guestd.request('POST', '/v1/commands', { body: { command, detach: true } })
  await until(() => existsSync(join(at, 'begun')))
  const reply = await guestd.open('POST', '/v1/session/stop')
  reply.destroy()
  await until(async () => (await infoOf(guestd)).state === 'stopped')
  t.equal(mountOptions(at), null)
})

t.test('a SIGTERM during a stop by the API joins it, and then guestd ends', async t => {
  const { guestd, at } = await onVolume(t, { killGraceMs: 500 })
  const command = "trap '' TERM; touch begun; sleep 600"
  await guestd.request('POST', '/v1/commands', { body: { command, detach: true } })
  await until(() => existsSync(join(at, 'begun')))
  const lines = stop(guestd)
  await until(async () => (await infoOf(guestd)).state === 'stopping')
  t.equal(await guestd.stop(), 0)
  t.equal((await lines).at(-1)?.type, 'receipt', 'who follows gets the receipt')
  t.equal(mountOptions(at), null)
})

t.test('a session without a workspace can be stopped', async t => {
  const workspaceMount = makeMountPoint(t)
  const config = { workspace: '/dev/guestd-none', workspaceMount }
  const guestd = await startGuestd(t, { config })
  const lines = await stop(guestd)
  matchExactly(t, lines.at(-1), { type: 'receipt', outcome: 'none', device: null, clean: true })
})

t.test('the stop of a folder writes it out', async t => {
  const guestd = await startGuestd(t)
  const lines = await stop(guestd)
  t.same(done(lines), ['commands', 'flush', 'receipt'])
  matchExactly(t, lines.at(-1), { outcome: 'flush', device: null, clean: true })
})

t.test('guestctl stop prints the steps and the receipt', async t => {
  const { guestd } = await onVolume(t)
  const first = await guestctl(['stop'], { connect: guestd.connect })
  t.equal(first.code, 0)
  t.match(
    first.out,
    /^End the commands: done .*\nWrite the workspace out: done .*\nGive free space back: done .*\nUnmount it: done/,
  )
  t.match(first.out, /\nWorkspace: +clean\n/)
  const again = await guestctl(['stop', '--json'], { connect: guestd.connect })
  t.equal(again.code, 0)
  t.match(JSON.parse(again.out.trimEnd().split('\n').at(-1) ?? ''), {
    type: 'receipt',
    clean: true,
  })
  const status = await guestctl(['status'], { connect: guestd.connect })
  t.match(status.out, 'stopped')
})

t.test('a stop counts over a crash and a restart of guestd, until it is started', async t => {
  const { guestd, at } = await onVolume(t)
  await runCommand(guestd, { command: 'echo kept > file' })
  const receipt = (await stop(guestd)).at(-1)
  const before = await answers(guestd)
  t.equal(before.state, 'stopped')
  t.same({ type: 'receipt', ...Object(before.lastStop) }, receipt)
  t.same(before.run, [503, 'stopped'])
  for (const end of [guestd.kill, guestd.stop]) {
    await end()
    await guestd.start()
    t.same(await answers(guestd), before)
    t.equal(mountOptions(at), null)
    t.same((await stop(guestd)).at(-1), receipt, 'it is the same stop')
  }
  const { pid } = guestd
  const started = await guestctl(['start', '--json'], guestd)
  t.same([started.code, started.out], [0, '{"restarting":true}\n'])
  await until(() => !existsSync(`/proc/${pid}`) || guestd.log().includes('"msg":"stopped"'))
  await guestd.stop()
  await guestd.start()
  t.equal((await infoOf(guestd)).state, 'ready')
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
  const again = (await guestd.request('POST', '/v1/session/start')).json()
  t.same(again, { restarting: false })
})

t.test('a stop by a signal ends guestd alone, of a folder too', async t => {
  const guestd = await startGuestd(t)
  await guestd.stop()
  await guestd.start()
  t.equal((await infoOf(guestd)).state, 'ready')
  await stop(guestd)
  await guestd.kill()
  await guestd.start()
  const { state, run: refused } = await answers(guestd)
  t.same([state, refused], ['stopped', [503, 'stopped']])
})
