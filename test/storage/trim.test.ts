/** The space of deleted files goes back to the host at the stop. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findBlockDevice } from '../../src/sys/block-devices.ts'
import { takesDiscards, trim } from '../../src/workspace/trim.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { attach, fsck, makeImage, makeMountPoint } from '../helpers/volume.ts'
import { stopSteps } from './support.ts'

const MIB = 1024 * 1024
/** A stop on a busy machine may not come to all of it. */
const ROUNDS = 5

const diskBytes = (path: string) => statSync(path).blocks * 512

t.test('an image file is as small after a stop as before the files that were deleted', async t => {
  const workspace = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', workspace, '--size', '128MiB'])
  const config = { workspace, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  await runCommand(guestd, { command: 'echo kept > file' })
  await guestd.stop()
  const before = diskBytes(workspace)
  await guestd.start()
  await runCommand(guestd, { command: 'head -c 44M /dev/urandom > big; sync -f .' })
  t.ok(diskBytes(workspace) > before + 40 * MIB, 'it has grown')
  await runCommand(guestd, { command: 'rm big' })
  t.equal(await guestd.stop(), 0)
  t.same(stopSteps(guestd).slice(-6), ['flush', 'trim', 'unmount', 'verify', 'mark', 'detach'])
  for (let round = 1; round < ROUNDS && diskBytes(workspace) > before + MIB; round++) {
    await guestd.start()
    t.equal(await guestd.stop(), 0)
  }
  t.ok(diskBytes(workspace) <= before + MIB, `${diskBytes(workspace)} bytes, ${before} before`)
  t.equal(fsck(workspace).status, 0)
  await guestd.start()
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
})

t.test(
  'a stop that has no time left trims nothing, and what takes no discards is known',
  async t => {
    const device = findBlockDevice(attach(t, makeImage(t)))
    if (device === null) throw new Error('there is no device')
    t.equal(takesDiscards(device), true)
    t.equal(takesDiscards({ number: '0:0' }), false)
    // No descriptor is open there: a call would fail.
    await t.resolves(trim(-1, 0))
  },
)
