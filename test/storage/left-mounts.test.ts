/** Mounts that commands leave on the workspace: a stop takes them away, or names them, and a start cleans up. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Receipt } from '../../src/protocol/schemas.ts'
import { HelperError, runHelper } from '../../src/sys/helper.ts'
import { listMounts } from '../../src/sys/mounts.ts'
import { type Guestd, run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, fsck, makeImage, makeMountPoint, mountOptions, run } from '../helpers/volume.ts'
import { unavailable } from './support.ts'

type Test = Parameters<typeof makeImage>[0] & Parameters<typeof startGuestd>[0]

async function onVolume(t: Test) {
  const image = makeImage(t, { mib: 64, mark: true })
  const workspace = attach(t, image)
  const at = makeMountPoint(t)
  // What a test that failed leaves is in the way of the next one.
  t.teardown(() => {
    for (const mount of mountsIn(at).toReversed()) run('umount', mount)
  })
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  return { guestd, image, workspace, at }
}

const mountsIn = (folder: string): string[] =>
  listMounts().flatMap(({ at }) => (at === folder || at.startsWith(`${folder}/`) ? [at] : []))

async function stop(guestd: Guestd): Promise<Receipt> {
  const { text } = await guestd.request('POST', '/v1/session/stop')
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')
}

function loggedReceipt(guestd: Guestd): Receipt {
  const lines = guestd.log().split('\n')
  return JSON.parse(lines.find(line => line.includes('the session is stopped')) ?? '{}')
}

async function mounts(guestd: Guestd, script: string): Promise<void> {
  const { exit, stderr } = await runCommand(guestd, { command: `set -e; ${script}` })
  if (exit.exitCode !== 0) throw new Error(stderr)
}

/** A process of the test with its working directory there. */
async function holdFolder(t: Test, folder: string): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', 'echo in; exec sleep 600'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await once(child.stdout, 'data')
  return child
}

t.test('mounts below the workspace, over it, and of it elsewhere are unmounted', async t => {
  const { guestd, image, at } = await onVolume(t)
  const [bound, merged] = [makeMountPoint(t), makeMountPoint(t)]
  await mounts(
    guestd,
    `mkdir t a u w l 'b lank'
    mount -t tmpfs left t; mkdir t/inner; mount -t tmpfs left t/inner
    mount -t tmpfs left 'b lank'
    mount --bind a ${bound}; echo kept > ${bound}/file
    mount -t overlay -o lowerdir=$PWD/a,upperdir=$PWD/u,workdir=$PWD/w left ${merged}
    echo merged > ${merged}/file
    truncate -s 8M disk.img; mke2fs -q disk.img; mount -o loop disk.img l; echo inner > l/file
    mount -t tmpfs left ${at}`,
  )
  const { outcome, clean, errors, heldBy } = await stop(guestd)
  t.same(
    { outcome, clean, errors, heldBy },
    { outcome: 'unmount', clean: true, errors: [], heldBy: null },
  )
  t.same([at, bound, merged].flatMap(mountsIn), [])
  t.equal(fsck(image).status, 0)
  const again = makeMountPoint(t)
  run('mount', attach(t, image), again)
  t.equal(run('cat', join(again, 'a/file'), join(again, 'u/file')), 'kept\nmerged\n')
  const inner = makeMountPoint(t)
  run('mount', attach(t, join(again, 'disk.img')), inner)
  t.equal(run('cat', join(inner, 'file')), 'inner\n')
  run('umount', inner)
})

t.test('a mount that is busy is named, with who holds it, and a start cleans up', async t => {
  const { guestd, image, at } = await onVolume(t)
  await mounts(guestd, 'echo kept > file; mkdir t; mount -t tmpfs left t; mkdir t/in')
  const holder = await holdFolder(t, join(at, 't/in'))
  t.equal(await guestd.stop(), 0)
  const { outcome, clean, errors, heldBy } = loggedReceipt(guestd)
  t.same({ outcome, clean, errors }, { outcome: 'shutdown', clean: true, errors: [] })
  t.match(heldBy, `mount ${at}/t (tmpfs), sleep (pid ${holder.pid}, cwd)`)
  t.equal(fsck(image).status, 0)

  await guestd.start()
  const by = `mount ${at}/t (tmpfs), sleep (pid ${holder.pid}, cwd)`
  t.match(await unavailable(guestd), `cannot be written, in use by ${by}`)
  holder.kill('SIGKILL')
  await until(async () => (await infoOf(guestd)).workspace.ok, 60_000)
  t.same(mountsIn(at), [at])
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
})

t.test('a guestd that takes the mount over uncovers it, and leaves what is below', async t => {
  const { guestd, at } = await onVolume(t)
  await mounts(
    guestd,
    `echo kept > file; mkdir t; mount -t tmpfs left t
    mount -t tmpfs left ${at}; mkdir ${at}/on; mount -t tmpfs left ${at}/on; mount -t tmpfs left ${at}`,
  )
  await guestd.kill()
  await guestd.start()
  t.equal((await infoOf(guestd)).workspace.ok, true)
  t.same(mountsIn(at), [at, join(at, 't')])
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
  t.equal((await stop(guestd)).outcome, 'unmount')
})

t.test('what hides the workspace and is busy is named at the start', async t => {
  const { guestd, at } = await onVolume(t)
  await mounts(guestd, `mount -t tmpfs left ${at}; mkdir ${at}/in`)
  const holder = await holdFolder(t, join(at, 'in'))
  await guestd.kill()
  await guestd.start()
  const by = `mount ${at} (tmpfs), sleep (pid ${holder.pid}, cwd)`
  t.match(await unavailable(guestd), `is mounted at ${at}, and hidden by ${by}`)
  holder.kill('SIGKILL')
  await until(async () => (await infoOf(guestd)).workspace.ok, 60_000)
})

/** A tmpfs of the machine with a mount in it, which every mount that is bound from it shares. */
function sharedFolder(t: Test): { readonly outside: string; readonly below: string } {
  const outside = makeMountPoint(t)
  const below = join(outside, 'below')
  t.teardown(() => {
    for (const mount of mountsIn(outside).toReversed()) spawnSync('umount', [mount])
  })
  run('mount', '-t', 'tmpfs', 'kept', outside)
  run('mount', '--make-shared', outside)
  mkdirSync(below)
  run('mount', '-t', 'tmpfs', 'kept', below)
  return { outside, below }
}

t.test('folders that were bound into the workspace lose none of their own mounts', async t => {
  const { guestd, at } = await onVolume(t)
  const { outside, below } = sharedFolder(t)
  await mounts(guestd, `mkdir r; mount --rbind ${outside} r; test -d r/below`)
  t.same(mountsIn(at), [at, join(at, 'r'), join(at, 'r/below')])
  const { outcome, clean } = await stop(guestd)
  t.same({ outcome, clean }, { outcome: 'unmount', clean: true })
  t.same([at, outside].flatMap(mountsIn), [outside, below])
})

t.test('a bound folder that a mount hides loses none of its own mounts', async t => {
  const { guestd, at } = await onVolume(t)
  const { outside, below } = sharedFolder(t)
  await mounts(guestd, `mkdir r; mount --rbind ${outside} r; mount -t tmpfs left r`)
  const { outcome, clean } = await stop(guestd)
  t.same({ outcome, clean }, { outcome: 'unmount', clean: true })
  t.same([at, outside].flatMap(mountsIn), [outside, below])
})

t.test('a bound folder keeps more mounts than one call of the helper takes', async t => {
  const { guestd, at } = await onVolume(t)
  const { outside, below } = sharedFolder(t)
  const many = Array.from({ length: 140 }, (_, n) => join(outside, `many-${n}`))
  for (const folder of many) {
    mkdirSync(folder)
    run('mount', '-t', 'tmpfs', 'kept', folder)
  }
  await mounts(guestd, `mkdir r; mount --rbind ${outside} r`)
  t.equal(mountsIn(at).length, 143)
  const { outcome, clean } = await stop(guestd)
  t.same({ outcome, clean }, { outcome: 'unmount', clean: true })
  t.same([at, outside].flatMap(mountsIn), [outside, below, ...many])
})

t.test('after a seclusion that failed nothing is unmounted', async t => {
  const other = makeMountPoint(t)
  run('mount', '-t', 'tmpfs', 'kept', other)
  const steps = ['seclude', join(other, 'missing'), 'unmount', other]
  await t.rejects(runHelper('release', steps, { limitMs: 10_000 }), HelperError)
  t.type(mountOptions(other), 'string')
})

t.test('no link leads an unmount elsewhere', async t => {
  const folder = makeScratch(t)
  const other = makeMountPoint(t)
  run('mount', '-t', 'tmpfs', 'kept', other)
  symlinkSync(join(other, '..'), join(folder, 'link'))
  symlinkSync(other, join(folder, 'last'))
  for (const path of ['link/mnt', 'last'].map(name => join(folder, name)))
    for (const how of ['unmount', 'seclude', 'swapoff'])
      await t.rejects(runHelper('release', [how, path], { limitMs: 10_000 }), HelperError)
  t.type(mountOptions(other), 'string')
  await runHelper('release', ['unmount', other], { limitMs: 10_000 })
  t.equal(mountOptions(other), null)
})
