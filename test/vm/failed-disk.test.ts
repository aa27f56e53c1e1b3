/**
 * A file system that fails in the guest's kernel, where syncfs writes nothing and returns 0 once ext4 has turned itself
 * read-only, or was shut down.
 */
import t from 'tap'
import { until } from '../helpers/guestd.ts'
import { asRoot, openClient, run } from './ask.ts'
import { restoreGuest } from './harness.ts'

/** A guest that is busy, on a host that is busy, still gets there. */
const SETTLE_LIMIT_MS = 60_000
const ERROR = /^its file system has failed: 1 error, the last in trigger_test_error$/

t.test('an error of the file system makes it not ok, and no receipt is clean', async t => {
  const guest = await restoreGuest(t)
  const client = openClient(t, guest)
  t.match(await client.flush(), { clean: true })
  await run(client, { command: 'echo lost >file' })
  await asRoot(client, 'echo test >/sys/fs/ext4/vdb/trigger_fs_error')
  await until(
    async () => ERROR.test((await client.session()).workspace.reason ?? ''),
    SETTLE_LIMIT_MS,
  )
  const { state, workspace } = await client.session()
  t.same([state, workspace.ok], ['not_ready', false])

  const flushed = await client.flush()
  t.equal(flushed.clean, false)
  t.match(flushed.errors.join('\n'), /Z fsync: .*\(EROFS\)|Z its file system has failed/)
  t.equal((await run(client, { command: 'cat file' })).out, 'lost\n', 'it is in memory alone')
  const events = await guest.guestctl(['events', '--json'])
  t.match(events.out, /"type":"workspace_unavailable",.*"reason":"its file system has failed: /)
  t.match(events.out, /"type":"not_ready",.*"code":"workspace_failed"/)

  const { code, out } = await guest.guestctl(['stop', '--json'])
  t.equal(code, 125)
  const receipt = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')
  t.equal(receipt.clean, false)
  t.match(
    receipt.errors.join('\n'),
    /(EROFS|has failed)[\s\S]*\nverify: .* errors in its file system$/,
  )
})

/** FS_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: what was not written is dropped. */
const SHUT_DOWN = `import fcntl, os, struct
fcntl.ioctl(os.open("/mnt/workspace", os.O_RDONLY), 0x8004587d, struct.pack("I", 2))`

t.test('a file system that a command shut down is no clean flush, and no clean stop', async t => {
  const guest = await restoreGuest(t)
  const client = openClient(t, guest)
  await run(client, { command: 'echo lost >file' })
  const argv = ['python3', '-c', SHUT_DOWN]
  t.equal((await run(client, { argv, user: 'root', cwd: '/' })).exitCode, 0)
  const flushed = await client.flush()
  t.equal(flushed.clean, false)
  t.match(flushed.errors.join('\n'), /Z fsync: .*\(EIO\)/)
  t.equal((await client.session()).workspace.ok, false)
  t.equal((await guest.guestctl(['stop'])).code, 125)
})
