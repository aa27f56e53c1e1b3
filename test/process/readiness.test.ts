import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { eventsOf } from '../helpers/events.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run, startGuestd, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** A small file system at the path, then guestd. */
const MOUNT = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'
const uid = process.getuid?.() ?? 0
/** Mounting takes root, if only that of a user namespace, in which no process can take another user. */
const asRoot = uid === 0 ? [] : ['--map-root-user']
const asBefore = uid === 0 ? [] : ['unshare', `--map-user=${uid}`, `--map-group=${uid}`]

t.test('a full runDir is a reason, and it is ready again once there is room', async t => {
  const { guestd, small } = await startOn(t, 'size=4m')
  t.same(await readiness(guestd), READY)
  await run(guestd, { command: `dd if=/dev/zero of=${small}/fill bs=4k; true` })
  const message = `runDir: ${small}/run is full, 0 bytes are left`
  t.same(await readiness(guestd), notReady({ code: 'disk_full', message }))
  const { out, code } = await guestctl(['status'], { connect: guestd.connect })
  t.equal(code, 0)
  t.match(out, /^State: +not ready\nBecause: +runDir: .* is full/)
  await run(guestd, { command: `rm ${small}/fill` })
  t.same(await readiness(guestd), READY)
  t.same(await changesOf(guestd), ['ready', 'not_ready disk_full', 'ready'])
})

t.test('a runDir without inodes is full, too', async t => {
  const { guestd, small } = await startOn(t, 'size=4m,nr_inodes=50')
  t.same(await readiness(guestd), READY)
  await run(guestd, { command: `for i in {1..60}; do : >${small}/$i; done` })
  const message = `runDir: ${small}/run is full, no inodes are left`
  t.same(await readiness(guestd), notReady({ code: 'disk_full', message }))
})

t.test('followers get the change although nothing asks', async t => {
  const { guestd, small } = await startOn(t, 'size=4m')
  await run(guestd, { command: `dd if=/dev/zero of=${small}/fill bs=4k; true` })
  await until(async () => (await changesOf(guestd)).length === 2)
  await run(guestd, { command: `rm ${small}/fill` })
  await until(async () => (await changesOf(guestd)).length === 3)
  t.same(await changesOf(guestd), ['ready', 'not_ready disk_full', 'ready'])
})

t.test('a guestd that waits for its session starts, and is ready once it is set', async t => {
  const workspace = makeScratch(t)
  const guestd = await startGuestd(t, { config: { workspace, requireSession: true } })
  const message = 'the host has not set the session: PUT /v1/session'
  t.same(await readiness(guestd), {
    status: 503,
    ready: false,
    state: 'starting',
    reasons: [{ code: 'waiting_for_session', message }],
  })
  t.same(await changesOf(guestd), ['not_ready waiting_for_session'])
  await guestd.request('PUT', '/v1/session', { body: { id: 's' } })
  t.same(await readiness(guestd), READY)
  const types = (await eventsOf(guestd)).map(({ type }) => type)
  t.same(types, ['not_ready', 'session_set', 'ready'])
})

t.test('a workspace that goes, and a user that does not exist, are reasons', async t => {
  const parent = makeScratch(t)
  const workspace = join(parent, 'w')
  mkdirSync(workspace)
  const guestd = await startGuestd(t, { config: { workspace, user: 'none-such' } })
  const user = { code: 'user_unknown', message: 'user: there is no user none-such' }
  t.same(await readiness(guestd), notReady(user))
  rmSync(workspace, { recursive: true })
  const { reasons, state } = await readiness(guestd)
  t.equal(state, 'not_ready')
  t.equal(reasons.length, 2)
  t.same(reasons[0], user)
  t.equal(reasons[1]?.code, 'workspace_unavailable')
  t.match(reasons[1]?.message, /^workspace: ENOENT/)
  t.same(await changesOf(guestd), [
    'not_ready user_unknown',
    'not_ready user_unknown workspace_unavailable',
  ])
})

t.test('a session that is stopped has that reason alone', async t => {
  const guestd = await startGuestd(t, { config: { user: 'none-such' } })
  await guestd.request('POST', '/v1/session/stop')
  t.same(await readiness(guestd), {
    status: 503,
    ready: false,
    state: 'stopped',
    reasons: [{ code: 'stopped', message: 'guestd is stopped' }],
  })
  t.same(await changesOf(guestd), ['not_ready user_unknown'])
})

async function startOn(t: Test, options: string) {
  const small = makeScratch(t)
  const guestd = await startGuestd(t, {
    config: { runDir: join(small, 'run') },
    wrap: ['unshare', ...asRoot, '--mount', 'sh', '-c', MOUNT, 'sh', options, small, ...asBefore],
  })
  return { guestd, small }
}

interface Reason {
  readonly code: string
  readonly message: string
}

const READY = { status: 200, ready: true, state: 'ready', reasons: [] }
const notReady = (reason: Reason) => ({
  status: 503,
  ready: false,
  state: 'not_ready',
  reasons: [reason],
})

/** What `/readyz` answers, and the state that the session has with it. */
async function readiness(guestd: Guestd) {
  const { status, json } = await guestd.request('GET', '/readyz')
  const { ready, reasons } = json() as { ready: boolean; reasons: Reason[] }
  const { state } = (await guestd.request('GET', '/v1/session')).json()
  return { status, ready, state, reasons }
}

/** The events of readiness, with the codes of their reasons. */
async function changesOf(guestd: Guestd): Promise<string[]> {
  return (await eventsOf(guestd)).flatMap(event => {
    if (event.type === 'ready') return ['ready']
    if (event.type !== 'not_ready') return []
    return [['not_ready', ...event.reasons.map(({ code }) => code)].join(' ')]
  })
}
