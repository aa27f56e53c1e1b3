/** Writes to loop devices of files in the workspace that fail: no later receipt is clean. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import type { Receipt } from '../../src/protocol/schemas.ts'
import { mountAt } from '../../src/sys/mounts.ts'
import { clear } from '../../src/workspace/clear-mounts.ts'
import { type Guestd, run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { attach, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

type Test = Parameters<typeof makeImage>[0] & Parameters<typeof startGuestd>[0]

const FAILED = /is not flushed: (syncfs|fsync): (EIO|ENOSPC)$/

/** Takes the space that a sparse file on the workspace needs. */
const FILL = '! head -c 100M /dev/zero > fill 2>/dev/null; sync -f fill'
const MAKE =
  'truncate -s 40M disk.img; mke2fs -q -O ^has_journal disk.img; mkdir l; mount -o loop disk.img l'
/** The page cache takes it, unless the file system has noticed a failed write already. */
const WRITE = 'head -c 16M /dev/zero | tr "\\0" x > l/file || true'

async function onVolume(t: Test, flushEveryMs: number): Promise<Guestd> {
  const workspace = attach(t, makeImage(t, { mib: 64, mark: true }))
  const at = makeMountPoint(t)
  t.teardown(() => {
    if (mountAt(join(at, 'l')) !== null) run('umount', join(at, 'l'))
  })
  return await startGuestd(t, { config: { workspace, workspaceMount: at, flushEveryMs } })
}

async function shell(guestd: Guestd, command: string): Promise<void> {
  const { exit, stderr } = await runCommand(guestd, { command: `set -e; ${command}` })
  if (exit.exitCode !== 0) throw new Error(stderr)
}

async function flush(guestd: Guestd): Promise<Pick<Receipt, 'clean' | 'errors'>> {
  const receipt: Receipt = JSON.parse((await guestd.request('POST', '/v1/session/flush')).text)
  return { clean: receipt.clean, errors: receipt.errors }
}

t.test('a failed write is in the receipt of the flush, of later ones, and of the stop', async t => {
  const guestd = await onVolume(t, 0)
  await shell(guestd, MAKE)
  t.same(await flush(guestd), { clean: true, errors: [] })
  await shell(guestd, `${FILL}; ${WRITE}`)
  const first = await flush(guestd)
  t.equal(first.clean, false)
  t.match(first.errors[0], FAILED)
  const second = await flush(guestd)
  t.equal(second.clean, false)
  t.same(second.errors.slice(0, first.errors.length), first.errors)
  const events = await guestd.request('GET', '/v1/events')
  t.match(events.text, /"type":"flush_failed",.*is not flushed: /)
  t.equal(await guestd.stop(), 1)
  t.match(guestd.log(), '"clean":false')
})

t.test('an error of a background flush is in later receipts', async t => {
  const guestd = await onVolume(t, 50)
  await shell(guestd, `${MAKE}; ${FILL}; ${WRITE}`)
  await until(() => guestd.log().includes(' is not flushed: '))
  await until(async () => FAILED.test((await flush(guestd)).errors[0] ?? ''))
  t.equal((await flush(guestd)).clean, false)
  t.equal(await guestd.stop(), 1)
})

t.test('a loop device whose writes failed is taken apart, and named', async t => {
  const device = attach(t, makeImage(t, { mib: 64 }))
  const at = makeMountPoint(t)
  run('mount', device, at)
  const file = join(at, 'disk.img')
  run('truncate', '-s', '40M', file)
  const loop = attach(t, file)
  execFileSync('bash', ['-c', FILL], { cwd: at })
  run('dd', 'if=/dev/urandom', `of=${loop}`, 'bs=1M', 'count=16')
  const number = mountAt(at)?.device ?? ''
  const { lost, left } = await clear({ device: { path: device, number }, path: at })
  t.equal(lost.length, 1)
  t.match(lost[0], /^loop device \/dev\/loop\d+ \(.*\/disk\.img\): fsync: .*\((EIO|ENOSPC)\)$/)
  t.same(left, [])
})
