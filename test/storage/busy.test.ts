import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { holdFuse, mountDeafFuse } from '../helpers/fuse.ts'
import { guestctl } from '../helpers/guestctl.ts'
import {
  type Guestd,
  run as runCommand,
  startGuestd,
  type Teardown,
  until,
} from '../helpers/guestd.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, fsck, makeImage, makeMountPoint, mountOptions, run } from '../helpers/volume.ts'
import { unavailable } from './support.ts'

/** A process of the test that ends with it. */
async function hold(t: Teardown, program: string, ...args: string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  if (child.stdout !== null) await once(child.stdout, 'data')
  return child
}

interface Receipt {
  readonly outcome: string
  readonly clean: boolean
  readonly heldBy: string | null
  readonly errors: readonly string[]
}

function receiptOf(guestd: Guestd): Receipt {
  const line = guestd
    .log()
    .split('\n')
    .find(one => one.includes('the session is stopped'))
  return JSON.parse(line ?? '{}')
}

t.test('a device that is mounted elsewhere is refused with the mount point', async t => {
  const workspace = attach(t, makeImage(t))
  const elsewhere = makeMountPoint(t)
  run('mount', workspace, elsewhere)
  const config = { workspace, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  t.match(await unavailable(guestd), /^\/dev\/loop\d+ \(\/.*\.img\) is mounted at \/.* already$/)
})

t.test('another file system at the mount point is reported', async t => {
  const workspace = attach(t, makeImage(t))
  const other = attach(t, makeImage(t))
  const at = makeMountPoint(t)
  run('mount', other, at)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  t.match(
    await unavailable(guestd),
    /^\/dev\/loop\d+ \(ext4, \/.*\.img\) is mounted at \/.* already$/,
  )
})

t.test(
  'a device that a process holds is refused with the name of the process, and mounted once it is free',
  async t => {
    const workspace = attach(t, makeImage(t))
    const at = makeMountPoint(t)
    const script =
      'import os,sys,time; os.open(sys.argv[1], os.O_RDWR|os.O_EXCL); print("held", flush=True); time.sleep(600)'
    const holder = await hold(t, 'python3', '-c', script, workspace)
    const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
    const reason = await unavailable(guestd)
    t.match(reason, `${workspace} is in use by`)
    t.match(reason, `(pid ${holder.pid}, fd`)
    holder.kill('SIGKILL')
    await until(() => mountOptions(at) !== null, 60_000)
  },
)

t.test(
  'a volume that stays busy at the stop is shut down: written out, clean, with the holder in the receipt',
  async t => {
    const image = makeImage(t)
    const workspace = attach(t, image)
    const at = makeMountPoint(t)
    const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
    await runCommand(guestd, { command: 'echo kept > file' })
    const script = `cd ${at}; echo in; while sleep 0.05; do echo x >> more || exit 7; done`
    const holder = await hold(t, 'bash', '-c', script)
    t.equal(await guestd.stop(), 0)
    const receipt = receiptOf(guestd)
    t.same([receipt.outcome, receipt.clean, receipt.errors], ['shutdown', true, []])
    t.match(receipt.heldBy, `bash (pid ${holder.pid}, cwd)`)
    t.equal(fsck(image).status, 0)

    if (holder.exitCode === null) await once(holder, 'exit')
    t.equal(holder.exitCode, 7, 'a writer gets an error')

    await guestd.start()
    t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
    t.equal(await guestd.stop(), 0)
  },
)

t.test('a volume that was shut down is mounted again once its last holder is gone', async t => {
  const workspace = attach(t, makeImage(t))
  const at = makeMountPoint(t)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  const holder = await hold(t, 'sh', '-c', `cd ${at}; echo in; exec sleep 600`)
  t.equal(await guestd.stop(), 0)
  await guestd.start()
  t.match(await unavailable(guestd), `cannot be written, in use by sleep (pid ${holder.pid}, cwd)`)
  holder.kill('SIGKILL')
  await until(async () => (await infoOf(guestd)).workspace.ok, 60_000)
  t.equal((await runCommand(guestd, { command: 'echo more > file' })).exit.exitCode, 0)
})

t.test('a mount namespace that still has the volume does not keep it live', async t => {
  const image = makeImage(t)
  const workspace = attach(t, image)
  const at = makeMountPoint(t)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  await runCommand(guestd, { command: 'echo kept > file' })
  const holder = await hold(t, 'unshare', '--mount', 'sh', '-c', 'echo in; exec sleep 600')
  t.equal(await guestd.stop(), 0)
  const receipt = receiptOf(guestd)
  t.same([receipt.outcome, receipt.clean, receipt.errors], ['shutdown', true, []])
  t.match(receipt.heldBy, `(pid ${holder.pid}, mount namespace)`)
  t.equal(mountOptions(at), null)
  t.throws(() => run('nsenter', '-t', String(holder.pid), '-m', 'touch', join(at, 'late')))
  t.equal(fsck(image).status, 0)
})

t.test('what is unmounted with the volume does not hold it, unread descriptors may', async t => {
  const image = makeImage(t)
  const workspace = attach(t, image)
  const at = makeMountPoint(t)
  const above = join(at, '..')
  run('mount', '--bind', above, above)
  t.teardown(() => run('umount', '--lazy', above))
  run('mount', '--make-shared', above)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  const service = ['--mount', '--propagation', 'slave', 'sh', '-c', 'echo in; exec sleep 600']
  await hold(t, 'unshare', ...service)
  const { pid } = await hold(t, 'python3', '-c', PARK, join(at, 'parked'))
  t.equal(await guestd.stop(), 0)
  const { outcome, clean, errors, heldBy } = receiptOf(guestd)
  t.same({ outcome, clean, errors }, { outcome: 'shutdown', clean: true, errors: [] })
  const socket = `python3 \\(pid ${pid}, fd \\d+ socket:\\[\\d+\\] with 1 unread descriptor\\)`
  t.match(heldBy, new RegExp(`^perhaps .*${socket}`))
  t.notMatch(heldBy, /mount namespace/)
  t.equal(fsck(image).status, 0)
})

/** Sends an open file to itself, and never receives it. */
const PARK = `
import array, os, socket, sys, time
one, other = socket.socketpair()
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
os.close(fd)
print("parked", flush=True)
time.sleep(600)`

t.test(
  'a FUSE that does not answer, held by any process, keeps neither stop nor search',
  async t => {
    const image = makeImage(t)
    const workspace = attach(t, image)
    const at = makeMountPoint(t)
    const deaf = makeMountPoint(t)
    await mountDeafFuse(t, deaf)
    await holdFuse(t, deaf)
    const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
    await runCommand(guestd, { command: 'echo kept > file' })
    const holder = await hold(t, 'sh', '-c', `exec 3< ${at}/file; echo in; exec sleep 600`)
    t.equal(await guestd.stop(), 0)
    const { outcome, clean, heldBy, errors } = receiptOf(guestd)
    t.same([outcome, clean, errors], ['shutdown', true, []])
    t.equal(heldBy, `sleep (pid ${holder.pid}, fd 3 ${at}/file)`)
    const inspected = await guestctl(['volume', 'inspect', image])
    t.equal(inspected.code, 125)
    t.match(inspected.err, `(pid ${holder.pid})`)
  },
)

t.test('a file that is let go a moment later is waited for', async t => {
  const workspace = attach(t, makeImage(t))
  const at = makeMountPoint(t)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  await runCommand(guestd, { command: 'echo kept > file' })
  const fd = openSync(join(at, 'file'), 'r')
  const stopped = guestd.stop()
  await until(() => guestd.log().includes('"name":"unmount","state":"started"'))
  closeSync(fd)
  t.equal(await stopped, 0)
  t.equal(receiptOf(guestd).outcome, 'unmount')
})

t.test(
  'commands that ignore SIGTERM, or have left their session, are gone before the unmount',
  async t => {
    const workspace = attach(t, makeImage(t))
    const at = makeMountPoint(t)
    const config = { workspace, workspaceMount: at, killGraceMs: 100 }
    const guestd = await startGuestd(t, { config })
    const command =
      "trap '' TERM; setsid bash -c 'trap \"\" TERM; while :; do echo x >> b; done' & while :; do echo x >> a; done"
    await guestd.request('POST', '/v1/commands', { body: { command, detach: true } })
    await until(() => existsSync(join(at, 'a')) && existsSync(join(at, 'b')))
    t.equal(await guestd.stop(), 0)
    t.equal(receiptOf(guestd).outcome, 'unmount')
    t.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(at), false)
  },
)
