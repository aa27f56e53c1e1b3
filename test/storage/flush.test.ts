import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { attach, cutPower, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

t.test(
  'after a flush what was written is there after a power cut, what came later is not',
  async t => {
    const workspace = attach(t, makeImage(t))
    const at = makeMountPoint(t)
    const config = { workspace, workspaceMount: at, flushEveryMs: 0 }
    const guestd = await startGuestd(t, { config })
    await runCommand(guestd, { command: 'echo kept > before' })
    const reply = await guestd.request('POST', '/v1/session/flush')
    t.equal(reply.status, 200)
    matchExactly(t, reply.json(), {
      outcome: 'flush',
      device: workspace,
      clean: true,
      errors: [],
      errorsSince: 'mount',
    })
    await runCommand(guestd, { command: 'echo lost > after' })
    cutPower(at, 'nothing')
    await guestd.kill()
    run('umount', at)
    run('mount', workspace, at)
    t.equal(readFileSync(join(at, 'before'), 'utf8'), 'kept\n')
    t.notOk(existsSync(join(at, 'after')))
  },
)

t.test('in the background what was written becomes durable without being asked for', async t => {
  const workspace = attach(t, makeImage(t))
  const at = makeMountPoint(t)
  const config = { workspace, workspaceMount: at, flushEveryMs: 50, logLevel: 'debug' }
  const guestd = await startGuestd(t, { config })
  await runCommand(guestd, { command: 'echo kept > file' })
  const written = guestd.log().split('"msg":"flushed"').length
  await until(() => guestd.log().split('"msg":"flushed"').length > written + 1)
  cutPower(at, 'nothing')
  await guestd.kill()
  // A flush that was under way has the file system open for a moment longer.
  await until(() => spawnSync('umount', [at]).status === 0)
  run('mount', workspace, at)
  t.equal(readFileSync(join(at, 'file'), 'utf8'), 'kept\n')
})

/** A device that takes fewer bytes than it says: the writes beyond fail as on a broken disk. */
function breaking(t: Parameters<typeof makeImage>[0]): string {
  const small = join(makeScratch(t), 'small')
  mkdirSync(small)
  run('mount', '-t', 'tmpfs', '-o', 'size=12M', 'guestd-test', small)
  t.teardown(() => void run('umount', small))
  const image = join(small, 'volume.img')
  run('truncate', '-s', '64M', image)
  run('mke2fs', '-q', '-t', 'ext4', '-E', 'nodiscard,lazy_itable_init=1,lazy_journal_init=1', image)
  return attach(t, image)
}

t.test(
  'a failed write is in the next receipt, in later receipts, and makes the stop unclean',
  async t => {
    const workspace = breaking(t)
    const at = makeMountPoint(t)
    const config = { workspace, workspaceMount: at, flushEveryMs: 0 }
    const guestd = await startGuestd(t, { config })
    t.match((await guestd.request('POST', '/v1/session/flush')).json(), { clean: true })
    await runCommand(guestd, { command: 'head -c 30M /dev/zero | tr "\\0" x > big' })
    for (let i = 0; i < 2; i++) {
      const { clean, errors } = (await guestd.request('POST', '/v1/session/flush')).json()
      t.equal(clean, false)
      const failures = errors as readonly string[]
      t.ok(failures.length > 0)
      t.same(
        failures.filter(text => !/syncfs: .*(EIO|ENOSPC)/.test(text)),
        [],
      )
    }
    const events = await guestd.request('GET', '/v1/events')
    t.match(events.text, /"type":"flush_failed",.*"reason":"syncfs: /)
    const flush = await guestctl(['flush'], { connect: guestd.connect })
    t.equal(flush.code, 125)
    t.match(flush.out, /NOT CLEAN/)
    const stop = await guestctl(['stop'], { connect: guestd.connect })
    t.equal(stop.code, 125)
    t.match(stop.out, /NOT CLEAN/)
    t.equal(await guestd.stop(), 1)
    t.match(guestd.log(), '"msg":"the flush failed"')
  },
)

t.test('guestctl flush prints what was written out', async t => {
  const guestd = await startGuestd(t)
  const text = await guestctl(['flush'], { connect: guestd.connect })
  t.equal(text.code, 0)
  t.match(text.out, /^Workspace: +clean\n/)
  const json = await guestctl(['flush', '--json'], { connect: guestd.connect })
  matchExactly(t, JSON.parse(json.out), { outcome: 'flush', device: null, clean: true })
})

t.test('flushes that are asked for at once share the next one', async t => {
  const workspace = attach(t, makeImage(t))
  const config = {
    workspace,
    workspaceMount: makeMountPoint(t),
    flushEveryMs: 0,
    logLevel: 'debug',
  }
  const guestd = await startGuestd(t, { config })
  const asked = Array.from({ length: 50 }, () => guestd.request('POST', '/v1/session/flush'))
  for (const reply of await Promise.all(asked)) t.match(reply.json(), { clean: true })
  const flushes = guestd.log().split('"msg":"flushed"').length - 1
  t.ok(flushes >= 1 && flushes < 50, `${flushes} flushes`)
})
