/** An image file is used by one guestd or machine at a time, whatever path leads to it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, linkSync, openSync, readFileSync } from 'node:fs'
import t from 'tap'
import { run as runCommand, startGuestd, type Teardown, until } from '../helpers/guestd.ts'
import { infoOf } from '../helpers/session.ts'
import { fsck, makeImage, makeMountPoint, run } from '../helpers/volume.ts'
import { unavailable } from './support.ts'

t.setTimeout(240_000)

/** fcntl(2): struct flock for an open file description lock (37: F_OFD_SETLK) on a byte that QEMU uses. */
const LOCK = `import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
try: fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0))
except OSError as error: sys.exit(print(error.errno, flush=True))`
const STAY = 'print("held", flush=True); time.sleep(600)'
const OPEN = 'import os, sys, time; os.open(sys.argv[1], os.O_RDWR)'

/** A process that has the image as a machine has it, and the first line that it prints. */
async function hold(t: Teardown, script: string, image: string) {
  const child: ChildProcess = spawn('python3', ['-c', `${script}\n${STAY}`, image])
  const exit = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', more => {
    text += more
  })
  await until(() => text.includes('\n'))
  return { child, said: text.trim() }
}

const EAGAIN = '11'

function loopsOf(image: string): string[] {
  const lines = run('losetup', '--associated', image).split('\n')
  return lines.filter(line => line !== '').map(line => line.slice(0, line.indexOf(':')))
}

t.test('another guestd has it: by a hard link, in another mount namespace, too', async t => {
  const image = makeImage(t, { mark: true })
  const config = { workspace: image, workspaceMount: makeMountPoint(t) }
  const first = await startGuestd(t, {
    config,
    wrap: ['unshare', '--mount', '--propagation', 'private'],
  })
  linkSync(image, `${image}.link`)
  const second = await startGuestd(t, {
    config: { workspace: `${image}.link`, workspaceMount: makeMountPoint(t) },
  })
  t.equal(
    await unavailable(second),
    `${image}.link is in use: another guestd has it: pid ${first.pid}`,
  )
  t.equal(loopsOf(image).length, 1)
  await runCommand(first, { command: 'echo kept > file' })
  t.equal(await first.stop(), 0)
  t.equal(fsck(image).status, 0)
  await until(async () => (await infoOf(second)).workspace.ok, 60_000)
  t.equal((await runCommand(second, { command: 'cat file' })).stdout, 'kept\n')
  t.equal(await second.stop(), 0)
  t.same(loopsOf(image), [])
})

t.test('a machine that has its lock is named, and the image is not touched', async t => {
  const image = makeImage(t, { mark: true })
  const before = readFileSync(image)
  const { child, said } = await hold(t, LOCK, image)
  t.equal(said, 'held')
  const config = { workspace: image, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  t.match(await unavailable(guestd), `(pid ${child.pid}) has its lock`)
  t.same(loopsOf(image), [])
  t.ok(readFileSync(image).equals(before))
  child.kill('SIGKILL')
  await until(async () => (await infoOf(guestd)).workspace.ok, 60_000)
})

t.test('a machine that has it open for writing, without a lock, is named', async t => {
  const image = makeImage(t)
  const { child } = await hold(t, OPEN, image)
  const config = { workspace: image, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  t.match(await unavailable(guestd), `(pid ${child.pid}) has it open for writing`)
  t.same(loopsOf(image), [])
})

t.test('no machine gets its lock before the stop, also not after a crash of guestd', async t => {
  const image = makeImage(t)
  const config = { workspace: image, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  t.equal((await hold(t, LOCK, image)).said, EAGAIN)
  await guestd.kill()
  t.equal((await hold(t, LOCK, image)).said, EAGAIN, 'the loop device has it')
  await guestd.start()
  t.equal((await infoOf(guestd)).workspace.ok, true, 'its own loop device is taken over')
  t.equal(loopsOf(image).length, 1)
  await guestd.request('POST', '/v1/session/stop')
  t.equal((await hold(t, LOCK, image)).said, 'held', 'after the stop it is free')
})

t.test('a loop device that guestd did not make is named, and stays', async t => {
  const image = makeImage(t)
  const device = run('losetup', '--find', '--show', image).trim()
  t.teardown(() => run('losetup', '--detach', device))
  const config = { workspace: image, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  const reason = `${image} is in use: ${device} is a loop device of it that guestd did not make`
  t.equal(await unavailable(guestd), reason)
  await guestd.stop()
  t.same(loopsOf(image), [device])
})

t.test(
  'a loop device that is detached while another process looks at it is waited for',
  async t => {
    const image = makeImage(t)
    const config = { workspace: image, workspaceMount: makeMountPoint(t) }
    const guestd = await startGuestd(t, { config })
    const { device } = (await infoOf(guestd)).workspace
    const fd = openSync(device ?? '', 'r')
    await guestd.stop()
    t.same(loopsOf(image), [device], 'it is still there')
    setTimeout(() => closeSync(fd), 1_000)
    await guestd.start()
    t.equal((await infoOf(guestd)).workspace.ok, true)
    t.equal((await runCommand(guestd, { command: 'echo x > file; sync -f .' })).exit.exitCode, 0)
  },
)

t.test('of guestds that start at once one has it, and no loop device is left', async t => {
  const image = makeImage(t)
  for (let round = 0; round < 3; round++) {
    const starts = Array.from({ length: 4 }, () =>
      startGuestd(t, { config: { workspace: image, workspaceMount: makeMountPoint(t) } }),
    )
    const guestds = await Promise.all(starts)
    const states = await Promise.all(guestds.map(async one => (await infoOf(one)).workspace.ok))
    t.equal(states.filter(ok => ok).length, 1)
    t.equal(loopsOf(image).length, 1)
    const waiting = guestds.filter((_, index) => states[index] === false)
    await Promise.all(waiting.map(one => one.kill()))
    await Promise.all(guestds.map(one => one.stop()))
    t.same(loopsOf(image), [])
  }
  t.equal(fsck(image).status, 0)
})
