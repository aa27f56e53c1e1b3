/** Disks that fail altogether, and disks that hang: the stop comes to its end, and says so. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Receipt } from '../../src/protocol/schemas.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import type { makeScratch } from '../helpers/scratch.ts'
import { infoOf } from '../helpers/session.ts'
import {
  attach,
  cutPower,
  makeImage,
  makeMountPoint,
  mountOptions,
  run,
} from '../helpers/volume.ts'

type Test = Parameters<typeof makeScratch>[0]

/** Each step of a stop has a limit of its own; a hanging disk takes all of them. */
const LIMIT_MS = 10 * 60_000
/** The longest time beyond the limits that guestd announces to its service manager for a stop. */
const AFTER_FLUSH_MS = 60_000

t.setTimeout(LIMIT_MS)

/** A volume whose file lies on a file system of its own, mounted at `below`. */
async function volumeOn(t: Test) {
  const below = makeMountPoint(t)
  run('mount', attach(t, makeImage(t, { mib: 192 })), below)
  const image = join(below, 'volume.img')
  const made = await guestctl(['volume', 'create', image, '--size', '32MiB'])
  if (made.code !== 0) throw new Error(made.err)
  return { below, device: attach(t, image) }
}

function receiptOf(out: string): Receipt {
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')
}

t.test('a disk that is gone: no receipt is clean, and the stop ends and fails', async t => {
  const { below, device } = await volumeOn(t)
  const config = { workspace: device, workspaceMount: makeMountPoint(t), flushEveryMs: 0 }
  const guestd = await startGuestd(t, { config })
  await runCommand(guestd, { command: 'echo kept > file' })
  t.match((await guestd.request('POST', '/v1/session/flush')).json(), { clean: true })
  cutPower(below, 'nothing')

  await runCommand(guestd, { command: 'head -c 4M /dev/zero > lost' })
  const flush = await guestctl(['flush', '--json'], { connect: guestd.connect })
  t.equal(flush.code, 125)
  matchExactly(t, receiptOf(flush.out), {
    clean: false,
    errors: [/EIO|EROFS/],
    errorsSince: 'mount',
  })
  t.equal((await runCommand(guestd, { command: 'echo here', cwd: '/' })).stdout, 'here\n')
  const stop = await guestctl(['stop', '--json'], { connect: guestd.connect })
  t.equal(stop.code, 125, stop.out)
  const receipt = receiptOf(stop.out)
  t.match(receipt, { clean: false, generation: 1 })
  t.match(receipt.errors.join('\n'), /^\S+ .*(EIO|EROFS)[\s\S]*mark: /, 'nor could it be marked')
  t.match(await infoOf(guestd), { state: 'stopped', lastStop: { clean: false } })
  t.equal(await guestd.stop(), 1)
})

t.test('a command that waits for a disk that hangs does not hold the stop', async t => {
  const { below, device } = await volumeOn(t)
  const config = {
    workspace: device,
    workspaceMount: makeMountPoint(t),
    flushEveryMs: 0,
    killGraceMs: 100,
    stopLimitMs: 500,
    flushLimitMs: 1_000,
  }
  const guestd = await startGuestd(t, { config })
  const thaw = () => void spawnSync('fsfreeze', ['--unfreeze', below])
  const at = config.workspaceMount
  t.teardown(async () => {
    thaw()
    // Calls that hung in the kernel come back a moment later, and the shutdown with them.
    await until(() => spawnSync('umount', [at]).status === 0 || mountOptions(at) === null, LIMIT_MS)
  })
  run('fsfreeze', '--freeze', below)
  const command = 'exec dd if=/dev/zero of=file bs=1M count=4 conv=fsync'
  const body = { id: 'stuck', command, detach: true }
  await guestd.request('POST', '/v1/commands', { body })
  const { pid } = (await guestd.request('GET', '/v1/commands/stuck')).json()
  await until(() => /^State:\tD/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')), LIMIT_MS)

  const stop = guestctl(['stop', '--json'], { connect: guestd.connect })
  await until(async () => (await infoOf(guestd)).state !== 'ready')
  t.equal((await guestd.request('GET', '/healthz')).status, 200, 'it answers meanwhile')
  const { code, out } = await stop
  t.equal(code, 125, out)
  const receipt = receiptOf(out)
  t.equal(receipt.clean, false)
  t.match(receipt.errors[0], /did not return within 1000 ms \(ETIMEDOUT\)/)
  t.match(out, /"name":"commands","state":"done"/)
  t.ok(readFileSync(`/proc/${pid}/status`, 'utf8').includes('State:\tD'), 'it still hangs')
  const limits = receipt.errors.map(error => Number(/in (\d+) ms/.exec(error)?.[1]))
  const sum = limits.reduce((all, limit) => all + limit)
  t.ok(sum <= config.flushLimitMs + AFTER_FLUSH_MS, `what hung was given up within ${sum} ms`)
  t.equal(await guestd.stop(), 1, 'guestd ends with the disk still hanging')
})
