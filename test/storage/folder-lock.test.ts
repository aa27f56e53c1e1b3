import {
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { lockPlace } from '../../src/sys/lock-place.ts'
import { type Guestd, run, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf } from '../helpers/session.ts'
import { unavailable } from './support.ts'

/** It has been looked at again by then. */
const RETRIED_MS = 2_500
/** Above all that a lock takes to be found stale, or taken away, and to be tried again. */
const LIMIT_MS = 60_000

const isThere = async (guestd: Guestd) => (await infoOf(guestd)).workspace.ok

/** Where the lock of a folder is. */
function lockOf(folder: string): string {
  const { dev, ino } = statSync(folder, { bigint: true })
  return join(lockPlace(process.geteuid?.() ?? 0), `${dev}-${ino}`)
}

t.test(
  'a second guestd on a folder reports the holder, and takes over when the first ends',
  async t => {
    const first = await startGuestd(t)
    const { workspace } = first
    const link = join(makeScratch(t), 'link')
    symlinkSync(workspace, link)
    const second = await startGuestd(t, { config: { workspace } })
    const third = await startGuestd(t, { config: { workspace: link } })
    for (const one of [second, third])
      t.match(await unavailable(one), `another guestd has it: pid ${first.pid}`)
    t.equal((await run(first, { command: 'true' })).exit.exitCode, 0)
    t.equal(
      (await second.request('POST', '/v1/session/flush')).json().code,
      'workspace_unavailable',
    )
    await third.stop()
    t.equal(await first.stop(), 0)
    await until(() => isThere(second), LIMIT_MS)
    const events = (await second.request('GET', '/v1/events')).frames()
    const ofWorkspace = events.filter(({ type }) => type.startsWith('workspace_'))
    matchExactly(t, ofWorkspace.slice(0, 2), [
      { type: 'workspace_unavailable' },
      { type: 'workspace_mounted', device: null, generation: null },
    ])
    t.equal((await run(second, { command: 'pwd' })).stdout, `${workspace}\n`)
  },
)

t.test('a guestd that was killed leaves the folder to the next one at once', async t => {
  const first = await startGuestd(t)
  await first.kill()
  await first.start()
  t.equal(await isThere(first), true, 'it is itself again')
  const { workspace } = first
  const second = await startGuestd(t, { config: { workspace } })
  t.match(await unavailable(second), `pid ${first.pid}`)
  await first.kill()
  await until(() => isThere(second), LIMIT_MS)
  await first.start()
  t.match(await unavailable(first), `another guestd has it: pid ${second.pid}`)
})

t.test('a holder that hangs keeps it', async t => {
  const first = await startGuestd(t)
  process.kill(first.pid, 'SIGSTOP')
  t.teardown(() => process.kill(first.pid, 'SIGCONT'))
  const lock = `${lockOf(first.workspace)}.lock`
  // proper-lockfile would take it for stale by now.
  const { mtimeMs } = statSync(lock)
  await until(() => Date.now() - mtimeMs > 12_000, LIMIT_MS)
  const second = await startGuestd(t, { config: { workspace: first.workspace } })
  t.match(await unavailable(second), `pid ${first.pid}`)
})

t.test('a folder that was moved stays with its guestd until that has another', async t => {
  const first = await startGuestd(t)
  const moved = join(first.dir, 'moved')
  renameSync(first.workspace, moved)
  t.match((await infoOf(first)).workspace, { ok: false, reason: /ENOENT/ })
  const second = await startGuestd(t, { config: { workspace: moved } })
  t.match(await unavailable(second), `pid ${first.pid}`)
  mkdirSync(first.workspace)
  await until(() => isThere(second), LIMIT_MS)
  await until(() => isThere(first), LIMIT_MS)
  const third = await startGuestd(t, { config: { workspace: first.workspace } })
  t.match(await unavailable(third), `pid ${first.pid}`)
  rmSync(first.workspace, { recursive: true })
  t.equal((await first.request('GET', '/healthz')).status, 200)
})

t.test(
  'a circle of links in place of the lock does not end guestd, and a folder there is replaced',
  async t => {
    const guestd = await startGuestd(t)
    const { workspace, dir, pid } = guestd
    renameSync(workspace, join(dir, 'moved'))
    symlinkSync('workspace', workspace)
    t.match((await infoOf(guestd)).workspace, { ok: false, reason: /ELOOP/ })
    await sleep(RETRIED_MS)
    t.equal(guestd.pid, pid)
    await guestd.stop()
    await guestd.start()
    t.match((await infoOf(guestd)).workspace, { ok: false, reason: /ELOOP/ })
    await sleep(RETRIED_MS)
    rmSync(workspace)
    mkdirSync(workspace)
    await until(() => isThere(guestd), LIMIT_MS)
  },
)

t.test('a lock that cannot name its holder is not kept', async t => {
  const full = 'mount -t tmpfs -o size=4k none /run; head -c 4K /dev/zero > /run/filler; exec "$@"'
  const guestd = await startGuestd(t, { wrap: ['unshare', '--mount', 'sh', '-c', full, 'sh'] })
  t.match(await unavailable(guestd), /ENOSPC/)
  const run = `/proc/${guestd.pid}/root/run`
  // Beside the lock of its runDir.
  const locks = readdirSync(`${run}/guestd-locks`).filter(name => !name.startsWith('run-'))
  t.same(locks, ['guard'])
  rmSync(`${run}/filler`)
  await until(() => isThere(guestd), LIMIT_MS)
})

t.test('a removed lock does not end guestd, and is taken again', async t => {
  const guestd = await startGuestd(t)
  rmdirSync(`${lockOf(guestd.workspace)}.lock`)
  await until(() => guestd.log().includes('its lock was taken away'), LIMIT_MS)
  await until(() => isThere(guestd), LIMIT_MS)
  t.ok(statSync(`${lockOf(guestd.workspace)}.lock`).isDirectory())
})

t.test('a holder in another pid namespace counts as long as it touches its lock', async t => {
  const workspace = makeScratch(t)
  const lock = lockOf(workspace)
  // The name is made of the inode: an earlier folder whose guestd was killed can have had the same.
  rmSync(`${lock}.lock`, { recursive: true, force: true })
  mkdirSync(`${lock}.lock`)
  const elsewhere = { pid: 1, startTime: 1, pidNamespace: 'pid:[1]' }
  writeFileSync(`${lock}.json`, JSON.stringify(elsewhere))
  const guestd = await startGuestd(t, { config: { workspace } })
  t.match(await unavailable(guestd), 'another guestd has it: pid 1')
  await until(() => isThere(guestd), LIMIT_MS)
})

t.test('locks are in no place that another user could have made', t => {
  // No user of this machine, and none of another run of this test.
  const otherUser = 1_000_000 + process.pid
  const path = `/tmp/guestd-locks-${otherUser}`
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  symlinkSync('/', path)
  t.throws(() => lockPlace(otherUser), /is not a folder of this user alone/)
  rmSync(path)
  mkdirSync(path)
  t.throws(() => lockPlace(otherUser), /is not a folder of this user alone/, 'it belongs to root')
  t.equal(statSync(lockPlace(0)).mode & 0o777, 0o700)
  t.end()
})
