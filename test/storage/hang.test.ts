import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, makeImage, makeMountPoint, run } from '../helpers/volume.ts'
import { unavailable } from './support.ts'

/** A device that can be made to hang: its file lies on a file system that is frozen meanwhile. */
function hanging(t: Parameters<typeof makeImage>[0]) {
  const below = makeMountPoint(t)
  run('mount', attach(t, makeImage(t, { mib: 128 })), below)
  const image = join(below, 'volume.img')
  run('truncate', '-s', '32M', image)
  run('mke2fs', '-q', '-t', 'ext4', '-E', 'nodiscard,lazy_itable_init=1,lazy_journal_init=1', image)
  const device = attach(t, image)
  const thaw = () => void spawnSync('fsfreeze', ['--unfreeze', below])
  t.teardown(thaw)
  return { device, freeze: () => void run('fsfreeze', '--freeze', below), thaw }
}

t.test('a disk that hangs blocks only the flush, which is given up and reported', async t => {
  const { device, freeze, thaw } = hanging(t)
  const config = {
    workspace: device,
    workspaceMount: makeMountPoint(t),
    flushEveryMs: 0,
    flushLimitMs: 1_000,
  }
  const guestd = await startGuestd(t, { config })
  await runCommand(guestd, { command: 'head -c 4M /dev/zero > file' })
  freeze()
  const flush = guestd.request('POST', '/v1/session/flush')
  t.equal((await guestd.request('GET', '/healthz')).status, 200)
  t.equal((await infoOf(guestd)).workspace.ok, true)
  t.equal((await runCommand(guestd, { command: 'echo here', cwd: '/' })).stdout, 'here\n')
  const receipt = (await flush).json()
  t.equal(receipt.clean, false)
  matchExactly(t, receipt.errors, [/did not return within 1000 ms \(ETIMEDOUT\)/])
  thaw()
  t.equal(await guestd.stop(), 1, 'what was once not durable is not clean')
})

t.test('guestd answers with the reason while a disk hangs at its start', async t => {
  const { device, freeze, thaw } = hanging(t)
  freeze()
  const config = { workspace: device, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config, waitForMount: false })
  t.type(await unavailable(guestd), 'string')
  thaw()
})
