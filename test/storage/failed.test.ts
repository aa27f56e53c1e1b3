/** File systems that the kernel stops writing to after an error: no receipt is clean, and everything that reports says so. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import type { Receipt, SessionInfo } from '../../src/protocol/schemas.ts'
import { eventsOf } from '../helpers/events.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

type Test = Parameters<typeof makeImage>[0] & Parameters<typeof startGuestd>[0]

const ONE_ERROR = 'its file system has failed: 1 error, the last in trigger_test_error'

async function onVolume(t: Test) {
  const workspace = attach(t, makeImage(t, { mark: true }))
  const at = makeMountPoint(t)
  const config = { workspace, workspaceMount: at, flushEveryMs: 0 }
  const guestd = await startGuestd(t, { config })
  return { guestd, workspace, at }
}

/** What the kernel does at a corrupt block, such as of a folder. */
function fail(device: string): void {
  writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'test')
}

async function flush(guestd: Guestd): Promise<Receipt> {
  return JSON.parse((await guestd.request('POST', '/v1/session/flush')).text)
}

async function stop(guestd: Guestd): Promise<Receipt> {
  const { text } = await guestd.request('POST', '/v1/session/stop')
  return JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')
}

async function reasonsOf(guestd: Guestd) {
  const { status, text } = await guestd.request('GET', '/readyz')
  return { status, reasons: JSON.parse(text).reasons }
}

t.test('an error of the file system is in status, readiness, events and receipts', async t => {
  const { guestd, workspace } = await onVolume(t)
  await runCommand(guestd, { command: 'echo kept > file' })
  t.equal((await flush(guestd)).clean, true)
  await runCommand(guestd, { command: 'echo lost > late' })
  fail(workspace)
  await until(async () => (await infoOf(guestd)).workspace.reason === ONE_ERROR)
  t.equal((await infoOf(guestd)).workspace.ok, false)
  t.same(await reasonsOf(guestd), {
    status: 503,
    reasons: [{ code: 'workspace_failed', message: `workspace: ${ONE_ERROR}` }],
  })
  await until(async () => (await eventsOf(guestd)).some(({ type }) => type === 'not_ready'))
  const reasons = (await eventsOf(guestd)).flatMap(event =>
    event.type === 'workspace_unavailable' ? [event.reason] : [],
  )
  t.equal(reasons.at(-1), ONE_ERROR)
  t.ok(reasons.length <= 2, 'not each time that it is seen')

  const flushed = await flush(guestd)
  t.equal(flushed.clean, false)
  t.equal(flushed.errors.length, 1)
  t.match(flushed.errors[0], /^\S+Z .*(EROFS|its file system has failed)/)
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n', 'commands run')

  const receipt = await stop(guestd)
  t.equal(receipt.clean, false)
  t.equal(receipt.errors[0], flushed.errors[0])
  t.equal(
    receipt.errors.at(-1),
    `verify: ${workspace}: the kernel has found errors in its file system`,
  )
  t.equal(await guestd.stop(), 1)
})

t.test('after a restart a file system that failed is unmounted, checked and mounted', async t => {
  const { guestd, workspace } = await onVolume(t)
  await runCommand(guestd, { command: 'echo kept > file' })
  t.equal((await flush(guestd)).clean, true)
  await guestd.kill()
  fail(workspace)
  await guestd.start()
  await until(async () => (await infoOf(guestd)).workspace.ok, 60_000)
  const info: SessionInfo = JSON.parse((await guestd.request('GET', '/v1/session')).text)
  t.equal(info.recovered, true)
  t.match(info.recovery.join(), /^e2fsck -p: /)
  t.equal((await runCommand(guestd, { command: 'cat file; echo more > more' })).stdout, 'kept\n')
  t.equal((await flush(guestd)).clean, true)
  t.equal((await stop(guestd)).clean, true)
})

t.test('a guestd that takes the mount over reports errors from before it', async t => {
  const { guestd, workspace, at } = await onVolume(t)
  run('mount', '-o', 'remount,errors=continue', at)
  await guestd.kill()
  fail(workspace)
  await guestd.start()
  await until(async () => (await infoOf(guestd)).workspace.reason === ONE_ERROR)
  t.equal((await flush(guestd)).clean, false)
})

/** FS_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: what was not written is dropped. */
const SHUT_DOWN = `import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))`

t.test('a file system that a command shut down is no clean flush', async t => {
  const { guestd, at } = await onVolume(t)
  await runCommand(guestd, { command: 'echo lost > file' })
  execFileSync('python3', ['-c', SHUT_DOWN, at])
  const { clean, errors } = await flush(guestd)
  t.equal(clean, false)
  t.match(errors[0], /fsync: .*EIO|syncfs: .*EIO|its file system has failed/)
  t.equal((await reasonsOf(guestd)).reasons[0]?.code, 'workspace_failed')
  t.equal((await stop(guestd)).clean, false)
})

t.test('a workspace remounted read-only is not ok for that time, and stays clean', async t => {
  const { guestd, at } = await onVolume(t)
  await runCommand(guestd, { command: 'echo kept > file' })
  run('mount', '-o', 'remount,ro', at)
  const { workspace } = await infoOf(guestd)
  t.same([workspace.ok, workspace.reason], [false, 'its file system is mounted read-only'])
  t.equal((await flush(guestd)).clean, true)
  run('mount', '-o', 'remount,rw', at)
  t.equal((await infoOf(guestd)).workspace.ok, true)
  t.equal((await reasonsOf(guestd)).status, 200)
  t.equal((await stop(guestd)).clean, true)
})

t.test('a folder on a file system that failed is no clean flush either', async t => {
  const device = attach(t, makeImage(t))
  const at = makeMountPoint(t)
  run('mount', '-o', 'errors=remount-ro', device, at)
  const workspace = join(at, 'folder')
  mkdirSync(workspace)
  const guestd = await startGuestd(t, { config: { workspace } })
  t.equal((await flush(guestd)).clean, true)
  writeFileSync(join(workspace, 'file'), 'lost')
  fail(device)
  const text = await guestctl(['flush', '--json'], { connect: guestd.connect })
  t.equal(text.code, 125)
  const { clean, errors } = JSON.parse(text.out)
  t.equal(clean, false)
  t.match(errors[0], /EROFS/)
  t.equal(readFileSync(join(workspace, 'file'), 'utf8'), 'lost', 'it is in memory alone')
})
