import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { infoOf } from '../helpers/session.ts'
import {
  attach,
  fsck,
  makeBlank,
  makeImage,
  makeMountPoint,
  mountOptions,
  run,
} from '../helpers/volume.ts'
import { stopSteps, unavailable } from './support.ts'

t.test('a block device is mounted, worked in, and clean after the stop', async t => {
  const image = makeImage(t)
  const device = attach(t, image)
  const at = makeMountPoint(t)
  const guestd = await startGuestd(t, {
    config: { workspace: device, workspaceMount: at, user: 'nobody' },
  })
  const { workspace } = await infoOf(guestd)
  matchExactly(t, workspace, { path: at, ok: true, reason: null, device })
  t.equal((await guestd.request('GET', '/readyz')).status, 200)
  const options = mountOptions(at)?.split(',') ?? []
  for (const option of ['rw', 'nodev', 'nosuid']) t.ok(options.includes(option), option)

  const wrote = await runCommand(guestd, { command: 'pwd; id -un; echo kept > file' })
  t.equal(wrote.stdout, `${at}\nnobody\n`)
  t.equal(wrote.exit.exitCode, 0)
  t.equal(statSync(at).uid, statSync(join(at, 'file')).uid, 'a fresh one belongs to the user')

  t.equal(await guestd.stop(), 0)
  t.equal(mountOptions(at), null)
  t.equal(fsck(device).status, 0, fsck(device).text)
  t.same(stopSteps(guestd), ['commands', 'flush', 'trim', 'unmount', 'verify'])

  run('mount', '-o', 'ro', device, at)
  t.equal(readFileSync(join(at, 'file'), 'utf8'), 'kept\n')
})

t.test(
  'setuid bits in a volume do not count, also in a mount that a guestd before left',
  async t => {
    const device = attach(t, makeImage(t))
    const at = makeMountPoint(t)
    run('mount', device, at)
    run('cp', '/usr/bin/id', at)
    run('chmod', '4755', join(at, 'id'))
    run('umount', at)
    const config = { workspace: device, workspaceMount: at, user: 'nobody' }
    const guestd = await startGuestd(t, { config })
    const uid = async () =>
      (await runCommand(guestd, { command: './id -u; id -u' })).stdout.split('\n')
    const [inVolume, outside] = await uid()
    t.equal(inVolume, outside)
    t.not(outside, '0')

    await guestd.kill()
    run('mount', '-o', 'remount,bind,suid,dev,noexec', at)
    await guestd.start()
    const options = mountOptions(at)?.split(',') ?? []
    for (const option of ['nodev', 'nosuid', 'noexec', 'noatime'])
      t.ok(options.includes(option), `${option} of ${options}`)
    run('mount', '-o', 'remount,bind,nosuid,exec', at)
    t.equal((await uid())[0], outside)
  },
)

t.test('the owner of a volume that holds something stays as it is', async t => {
  const device = attach(t, makeImage(t))
  const at = makeMountPoint(t)
  run('mount', device, at)
  mkdirSync(join(at, 'there'))
  run('umount', at)
  await startGuestd(t, { config: { workspace: device, workspaceMount: at, user: 'nobody' } })
  t.equal(statSync(at).uid, 0)
})

t.test('a label is found on whatever device carries it', async t => {
  const label = `gd-${process.pid}`
  const device = attach(t, makeImage(t, { label }))
  const at = makeMountPoint(t)
  const config = { workspace: `LABEL=${label}`, workspaceMount: at }
  const guestd = await startGuestd(t, { config })
  t.equal((await infoOf(guestd)).workspace.device, device)
})

t.test('two devices with the label are reported, and neither is mounted', async t => {
  const label = `gd2-${process.pid}`
  const devices = [attach(t, makeImage(t, { label })), attach(t, makeImage(t, { label }))]
  const at = makeMountPoint(t)
  const config = { workspace: `LABEL=${label}`, workspaceMount: at }
  const guestd = await startGuestd(t, { config })
  const reason = await unavailable(guestd)
  t.match(reason, `more than one device is labelled ${label}`)
  for (const device of devices) t.match(reason, device)
  t.equal(mountOptions(at), null)
})

t.test('an image file gets a loop device, which is gone after the stop', async t => {
  const image = makeImage(t)
  const at = makeMountPoint(t)
  const guestd = await startGuestd(t, { config: { workspace: image, workspaceMount: at } })
  const { device } = (await infoOf(guestd)).workspace
  t.match(device ?? '', /^\/dev\/loop\d+$/)
  t.equal((await runCommand(guestd, { command: 'echo kept > file' })).exit.exitCode, 0)
  t.equal(await guestd.stop(), 0)
  t.same(stopSteps(guestd), ['commands', 'flush', 'trim', 'unmount', 'verify', 'detach'])
  t.equal(run('losetup', '--associated', image), '')
  t.equal(fsck(image).status, 0)
  await guestd.start()
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
})

for (const setting of ['device', 'image'] as const) {
  t.test(`after a SIGKILL the mount of a ${setting} is taken over`, async t => {
    const image = makeImage(t)
    const workspace = setting === 'image' ? image : attach(t, image)
    const at = makeMountPoint(t)
    const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
    const before = (await infoOf(guestd)).workspace
    await runCommand(guestd, { command: 'echo kept > file' })
    await guestd.kill()
    t.ok(existsSync(join(at, 'file')), 'the mount is still there')
    await guestd.start()
    t.match((await infoOf(guestd)).workspace, { ok: true, device: before.device })
    t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
    t.match(guestd.log(), '"takenOver":true')
    t.equal(await guestd.stop(), 0)
    t.match(guestd.log(), '"errorsSince":"restart"')
    t.equal(fsck(image).status, 0)
  })
}

t.test('a device that comes late is mounted as soon as it is there', async t => {
  const label = `late-${process.pid}`
  const at = makeMountPoint(t)
  const config = { workspace: `LABEL=${label}`, workspaceMount: at }
  const guestd = await startGuestd(t, { config })
  t.match(await unavailable(guestd), `no device has an ext4 labelled ${label}`)
  attach(t, makeImage(t, { label }))
  await until(async () => (await infoOf(guestd)).workspace.ok, 60_000)
  t.equal((await guestd.request('GET', '/readyz')).status, 200)
  t.equal((await runCommand(guestd, { command: 'pwd' })).stdout, `${at}\n`)
  await guestd.stop()
})

t.test('a file system that says more than its device has is not mounted', async t => {
  const image = makeImage(t, { mib: 32 })
  run('truncate', '-s', '16M', image)
  const at = makeMountPoint(t)
  const workspace = attach(t, image)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  t.match(await unavailable(guestd), /ext4 of 32 MiB on a device of 16 MiB/)
})

t.test('what is on a device that is no ext4 is named', async t => {
  const at = makeMountPoint(t)
  const blank = makeBlank(t)
  const swap = makeBlank(t)
  run('mkswap', swap)
  const noise = makeBlank(t)
  writeFileSync(noise, Buffer.alloc(1024 * 1024, 'noise'))
  const ext2 = makeImage(t, { mkfs: ['-O', '^has_journal'] })
  const kinds = [
    [blank, /is blank/],
    [swap, /is swap, not ext4/],
    [noise, /is nothing that guestd knows, not ext4/],
    [ext2, /without a journal/],
  ] as const
  for (const [image, expected] of kinds) {
    const workspace = attach(t, image)
    const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
    t.match(await unavailable(guestd), expected)
    t.match(await unavailable(guestd), workspace)
    await guestd.stop()
  }
})
