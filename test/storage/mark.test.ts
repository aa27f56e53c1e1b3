import { closeSync, copyFileSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { SLOT_BYTES } from '../../src/volume/mark.ts'
import { run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { slotsOf, writeAfter } from '../helpers/mark.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { infoOf } from '../helpers/session.ts'
import {
  attach,
  cutPower,
  fsck,
  makeBlank,
  makeImage,
  makeMountPoint,
  run,
} from '../helpers/volume.ts'
import { unavailable } from './support.ts'

/** With 80 bytes for each, more than e2fsck is listened to. */
const DELETED = 1_500

t.test('each start is a generation; the one after knows how the one before ended', async t => {
  const workspace = makeImage(t, { mark: true })
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: makeMountPoint(t) } })
  matchExactly(t, await infoOf(guestd), {
    generation: 1,
    resumed: false,
    recovered: false,
    lastStop: null,
  })
  t.match(slotsOf(workspace).mark, { generation: 1, state: 'inUse' }, 'it is durable')
  await guestd.stop()
  t.match(slotsOf(workspace).mark, { generation: 1, state: 'clean', receipt: { clean: true } })

  await guestd.start()
  const second = await infoOf(guestd)
  matchExactly(t, second, { generation: 2, resumed: true, recovered: false, recovery: [] })
  t.match(second.lastStop, { generation: 1, clean: true, outcome: 'unmount' })
  await guestd.stop()
  t.equal(fsck(workspace).status, 0, 'the file system does not know of the mark')
})

t.test('a restart of the daemon goes on with the generation', async t => {
  const workspace = makeImage(t, { mark: true })
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: makeMountPoint(t) } })
  await guestd.kill()
  await guestd.start()
  t.match(await infoOf(guestd), { generation: 1, resumed: false, recovered: false })
  await guestd.stop()
  t.match(slotsOf(workspace).mark, { generation: 1, state: 'clean' })
})

t.test(
  'after a crash of the machine the volume is repaired, and the repair is reported',
  async t => {
    const image = makeImage(t, { mark: true })
    const workspace = attach(t, image)
    const at = makeMountPoint(t)
    const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
    await runCommand(guestd, { command: 'echo kept > file' })
    await guestd.request('POST', '/v1/session/flush')
    await runCommand(guestd, { command: 'mkdir more' })
    cutPower(at, 'journal')
    await guestd.kill()
    run('umount', at)

    await guestd.start()
    const info = await infoOf(guestd)
    matchExactly(t, info, {
      generation: 2,
      resumed: true,
      recovered: true,
      recovery: [/e2fsck -p: .*/],
    })
    t.match(info.recovery[0] ?? '', /recovering journal/)
    t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
    t.match(guestd.log(), 'the workspace had not been left clean')
    t.equal(await guestd.stop(), 0)
    await guestd.start()
    matchExactly(t, await infoOf(guestd), { generation: 3, recovered: false, recovery: [] })
  },
)

t.test('a long repair runs to its end', async t => {
  const image = makeImage(t, { mib: 64, mark: true })
  const device = attach(t, image)
  const at = makeMountPoint(t)
  run('mount', device, at)
  // Each of these is a line of e2fsck: open at the end of the machine, and deleted.
  const fds = Array.from({ length: DELETED }, (_, index) => {
    const path = `${at}/${index}`
    const fd = openSync(path, 'w')
    unlinkSync(path)
    return fd
  })
  writeFileSync(`${at}/kept`, 'kept\n')
  run('sync', '-f', at)
  const copy = makeBlank(t)
  copyFileSync(image, copy)
  for (const fd of fds) closeSync(fd)
  const config = { workspace: copy, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  const info = await infoOf(guestd)
  t.match(info, { recovered: true, workspace: { ok: true } }, info.workspace.reason ?? '')
  t.match(info.recovery[0], /Clearing orphaned inode.* … .*clean/s)
  t.equal((await runCommand(guestd, { command: 'cat kept' })).stdout, 'kept\n')
  t.equal(await guestd.stop(), 0)
  t.equal(fsck(copy).status, 0)
})

t.test('a mark that was torn gives way to the one before it', async t => {
  const workspace = makeImage(t, { mark: true })
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: makeMountPoint(t) } })
  await guestd.stop()
  const { mark, nextOffset } = slotsOf(workspace)
  t.match(mark, { state: 'clean' })
  // The slot that was written last.
  writeAfter(workspace, SLOT_BYTES - nextOffset + 100, Buffer.alloc(512))
  t.match(slotsOf(workspace).mark, { state: 'inUse', generation: 1 })
  await guestd.start()
  t.match(await infoOf(guestd), { generation: 2, recovered: true })
})

t.test('foreign bytes in place of the mark are reported, and not one byte changes', async t => {
  const cases: readonly [after: Buffer, says: RegExp][] = [
    [
      Buffer.alloc(3 * SLOT_BYTES, 'precious'),
      /something that is not a guestd mark is at byte 33554432 of \/dev\/loop\d+/,
    ],
    [Buffer.from('guestd-mark 2 whatever it says'), /the mark at byte 33554432 .* a newer guestd/],
  ]
  for (const [after, says] of cases) {
    const workspace = makeImage(t, { mark: true })
    writeAfter(workspace, 0, after)
    const before = readFileSync(workspace)
    const at = makeMountPoint(t)
    const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
    t.match(await unavailable(guestd), says)
    t.equal(await guestd.stop(), 0)
    t.ok(readFileSync(workspace).equals(before))
  }
})

t.test('a device without a place for a mark is used without one', async t => {
  const workspace = makeImage(t)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: makeMountPoint(t) } })
  matchExactly(t, await infoOf(guestd), {
    generation: null,
    resumed: false,
    workspace: { ok: true },
  })
})

t.test('a volume that e2fsck -p cannot repair is not mounted, and its mark stays', async t => {
  const image = makeImage(t, { mark: true, mkfs: ['-b', '1024'] })
  const at = makeMountPoint(t)
  const guestd = await startGuestd(t, { config: { workspace: image, workspaceMount: at } })
  await runCommand(guestd, { command: 'mkdir a b; ln -s x a/l; mkdir a/c' })
  await guestd.stop()
  // Two folders for one: no machine can know which of them is right.
  run('debugfs', '-w', '-R', 'ln a b/again', image)
  run('debugfs', '-w', '-R', 'set_super_value state 2', image)
  const before = slotsOf(image).mark
  await guestd.start()
  const info = await infoOf(guestd)
  t.equal(info.workspace.ok, false)
  t.match(info.workspace.reason, /e2fsck -p cannot repair/)
  t.same(slotsOf(image).mark, before)
  t.equal(run('losetup', '--associated', image), '', 'no loop device is left of it')
})
