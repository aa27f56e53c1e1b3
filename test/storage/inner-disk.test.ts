/** File systems on loop devices of files in the workspace: a flush writes them out, too, or says which it does not cover. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Receipt } from '../../src/protocol/schemas.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { attach, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

type Test = Parameters<typeof makeImage>[0] & Parameters<typeof startGuestd>[0]

const MAKE = 'truncate -s 16M disk.img && mke2fs -q -O ^has_journal disk.img'

async function onVolume(t: Test) {
  const image = makeImage(t, { mib: 64, mark: true })
  const at = makeMountPoint(t)
  const config = { workspace: attach(t, image), workspaceMount: at, flushEveryMs: 0 }
  const guestd = await startGuestd(t, { config })
  return { guestd, image, at }
}

async function shell(guestd: Guestd, command: string): Promise<string> {
  const { exit, stdout, stderr } = await runCommand(guestd, { command: `set -e; ${command}` })
  if (exit.exitCode !== 0) throw new Error(stderr)
  return stdout
}

const flush = async (guestd: Guestd): Promise<Receipt> =>
  JSON.parse((await guestd.request('POST', '/v1/session/flush')).text)

/** What the disk has: files of the file system in `disk.img`, as after a power cut. */
function onDisk(t: Test, image: string): string {
  const copy = join(makeScratch(t), 'copy.img')
  run('cp', '--sparse=always', image, copy)
  const outer = makeMountPoint(t)
  run('mount', attach(t, copy), outer)
  const inner = makeMountPoint(t)
  run('mount', attach(t, join(outer, 'disk.img')), inner)
  const listed = run('sh', '-c', `cat ${inner}/file || true`)
  run('umount', inner)
  return listed
}

t.test('what was written to a file system within is on the disk after a flush', async t => {
  const { guestd, image } = await onVolume(t)
  const elsewhere = makeMountPoint(t)
  await shell(guestd, `${MAKE}; mount -o loop disk.img ${elsewhere}; echo kept > ${elsewhere}/file`)
  const { clean, errors } = await flush(guestd)
  t.same({ clean, errors }, { clean: true, errors: [] })
  t.equal(onDisk(t, image), 'kept\n')
  t.equal(await guestd.stop(), 0)
})

t.test('of two within each other the innermost is flushed first', async t => {
  const { guestd, image } = await onVolume(t)
  await shell(
    guestd,
    `truncate -s 32M outer.img; mke2fs -q outer.img; mkdir o i; mount -o loop outer.img o; cd o
    ${MAKE}; mount -o loop disk.img ../i; echo kept > ../i/file`,
  )
  t.equal((await flush(guestd)).clean, true)
  const copy = join(makeScratch(t), 'copy.img')
  run('cp', '--sparse=always', image, copy)
  const outer = makeMountPoint(t)
  run('mount', attach(t, copy), outer)
  t.equal(onDisk(t, join(outer, 'outer.img')), 'kept\n')
  t.equal(await guestd.stop(), 0)
})

t.test('one in another mount namespace is not covered, and said to be so', async t => {
  const { guestd, at } = await onVolume(t)
  await shell(guestd, MAKE)
  const script =
    'd=$(losetup --find --show disk.img); mount $d /mnt; echo $d; read x; umount /mnt; losetup -d $d'
  const child = spawn('unshare', ['--mount', 'sh', '-c', script], {
    cwd: at,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => void child.kill('SIGKILL'))
  const [device] = await once(child.stdout.setEncoding('utf8'), 'data')
  const { clean, errors } = await flush(guestd)
  t.equal(clean, false)
  const words = `loop device ${device.trim()} (${at}/disk.img) is not flushed: open: EBUSY`
  t.same(errors, [words])
  t.match((await guestctl(['flush'], { connect: guestd.connect })).out, words)
  child.stdin.end('\n')
  await once(child, 'exit')
  await until(async () => (await flush(guestd)).clean)
  t.equal(await guestd.stop(), 0)
})

t.test('an inner disk that a process keeps busy is shut down with the workspace', async t => {
  const { guestd, image, at } = await onVolume(t)
  await shell(guestd, `${MAKE}; mkdir l; mount -o loop disk.img l; echo kept > l/file`)
  const script = 'echo in; while sleep 0.05; do echo x >> more && sync -f more || exit 7; done'
  const holder = spawn('sh', ['-c', script], {
    cwd: join(at, 'l'),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.teardown(() => void holder.kill('SIGKILL'))
  const ended = once(holder, 'exit')
  await until(() => existsSync(join(at, 'l/more')))
  t.equal(await guestd.stop(), 0)
  t.match(guestd.log(), `"heldBy":"mount ${at}/l (ext2), loop device /dev/loop`)
  await ended
  t.equal(onDisk(t, image), 'kept\n')
  run('umount', join(at, 'l'))
})
