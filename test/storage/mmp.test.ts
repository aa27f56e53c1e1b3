import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { changeMark } from '../helpers/mark.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, cutPower, makeMountPoint, run } from '../helpers/volume.ts'

/** The kernel and e2fsck each watch for some seconds whether another host writes. */
const WATCH_LIMIT_MS = 300_000

t.test('a volume with multiple mount protection is used, and used again after a crash', async t => {
  const image = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', image, '--size', '16MiB', '--mmp'])
  t.match((await guestctl(['volume', 'inspect', image])).out, /with multiple mount protection/)
  const workspace = attach(t, image)
  const at = makeMountPoint(t)
  const config = { workspace, workspaceMount: at }
  const guestd = await startGuestd(t, { config, waitForMount: false })
  const isThere = async () => (await infoOf(guestd)).workspace.ok
  await until(isThere, WATCH_LIMIT_MS)
  await runCommand(guestd, { command: 'echo kept > file' })
  await guestd.request('POST', '/v1/session/flush')

  // Another host: a second device of the same file.
  const other = attach(t, image)
  const refused = await startGuestd(t, {
    config: { workspace: other, workspaceMount: makeMountPoint(t) },
    waitForMount: false,
  })
  const reasonOf = async () => (await infoOf(refused)).workspace.reason ?? ''
  await until(async () => (await reasonOf()) !== 'it is being mounted', WATCH_LIMIT_MS)
  t.match(await reasonOf(), /e2fsck -p cannot repair .*MMP/)
  t.equal((await infoOf(guestd)).workspace.ok, true)
  await refused.stop()

  cutPower(at, 'journal')
  await guestd.kill()
  run('umount', at)
  await guestd.start()
  await until(isThere, WATCH_LIMIT_MS)
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
  t.equal(await guestd.stop(), 0)

  const expired = { ...config, retentionMs: 1, onExpired: 'reset', requireSession: true }
  changeMark(image, { lastActivityBy: 'host' })
  const next = await startGuestd(t, { config: expired, waitForMount: false })
  const hostTime = new Date().toISOString()
  await next.request('PUT', '/v1/session', { body: { id: 'one', hostTime } })
  await until(async () => (await infoOf(next)).workspace.ok, WATCH_LIMIT_MS)
  t.equal((await runCommand(next, { command: 'ls' })).stdout, '')
  await next.stop()
  t.match(run('dumpe2fs', '-h', image), /^Filesystem features: .*mmp/m, 'it still has it')
})
