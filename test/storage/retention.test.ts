import {
  closeSync,
  openSync,
  readFileSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { SessionInfo } from '../../src/protocol/schemas.ts'
import { CLOCK_FILE } from '../../src/session/host-clock.ts'
import { MARK_AREA_BYTES } from '../../src/volume/mark.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { changeMark, readMark } from '../helpers/mark.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf, putSession } from '../helpers/session.ts'
import { attach, fsck, makeMountPoint, run } from '../helpers/volume.ts'

const DAY_MS = 24 * 3_600_000
const SUPERBLOCK = 1024

type Test = Parameters<typeof makeScratch>[0]

function withFile<T>(path: string, work: (fd: number) => T): T {
  const fd = openSync(path, 'r+')
  try {
    return work(fd)
  } finally {
    closeSync(fd)
  }
}

const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS).toISOString()
const hostTime = () => new Date().toISOString()
const listing = async (on: Guestd) =>
  (await runCommand(on, { command: 'ls -A; cat file 2>/dev/null' })).stdout
const inspect = async (path: string) =>
  JSON.parse((await guestctl(['volume', 'inspect', path, '--json'])).out)

/** A volume without an owner is not reset before its session is known. */
const reset = { onExpired: 'reset', requireSession: true }

/** A volume that was used by the session `one` with runtime version 1, with a file. */
async function makeUsed(t: Test, config: object = {}, create: readonly string[] = []) {
  const workspace = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', workspace, '--size', '32MiB', ...create])
  const at = makeMountPoint(t)
  const settings = { workspace, workspaceMount: at, ...config }
  const guestd = await startGuestd(t, { config: settings })
  await putSession(guestd, { id: 'one', runtimeVersion: '1', hostTime: hostTime() })
  await runCommand(guestd, { command: 'echo kept > file; mkdir -p a/b' })
  await guestd.stop()
  return { workspace, guestd, at, settings }
}

t.test('an expired volume is kept by default, and the session says so', async t => {
  const { workspace, guestd } = await makeUsed(t)
  changeMark(workspace, { lastActivityAt: daysAgo(13) })
  await guestd.start()
  matchExactly(t, await infoOf(guestd), { expired: false, reset: null, resumed: true })
  await guestd.stop()
  changeMark(workspace, { lastActivityAt: daysAgo(15) })
  await guestd.start()
  const info = await infoOf(guestd)
  matchExactly(t, info, { expired: true, reset: null, resumed: true, generation: 3 })
  const leftMs = Date.parse(info.expiresAt ?? '') - Date.now()
  t.ok(leftMs > 13.9 * DAY_MS && leftMs <= 14 * DAY_MS, 'by now it is used again')
  t.match(await listing(guestd), 'kept\n')
  t.match(guestd.log(), 'the workspace has expired, and is kept')
})

t.test('without a last activity the time of the mark counts; 0 is for ever', async t => {
  const { workspace, guestd } = await makeUsed(t, { retentionMs: DAY_MS })
  changeMark(workspace, { lastActivityAt: undefined, at: daysAgo(2) })
  await guestd.start()
  t.match(await infoOf(guestd), { expired: true })
  const other = await makeUsed(t, { retentionMs: 0, ...reset })
  changeMark(other.workspace, { lastActivityAt: daysAgo(10_000) })
  await other.guestd.start()
  matchExactly(t, await infoOf(other.guestd), { expired: false, expiresAt: null, resumed: true })
})

t.test('an expired volume is started empty where that is configured', async t => {
  const { workspace, guestd, at } = await makeUsed(t, reset)
  const before = await inspect(workspace)
  changeMark(workspace, { lastActivityAt: daysAgo(15) })
  await guestd.start()
  const facts = { expired: true, reset: 'expired', resumed: false, generation: 2, recovered: false }
  t.match(await infoOf(guestd), facts)
  t.match((await infoOf(guestd)).lastStop, { generation: 1, clean: true })
  t.match(guestd.log(), 'the workspace was started empty')
  t.equal(await listing(guestd), '')
  const { bavail, bsize } = statfsSync(at)
  t.equal(bavail * bsize, 32 * 1024 * 1024, 'it gives the same size')

  await runCommand(guestd, { command: 'echo new > file' })
  await guestd.kill()
  await guestd.start()
  t.match(await infoOf(guestd), facts, 'a restart of guestd forgets nothing')
  t.match(await listing(guestd), 'new\n')
  t.equal(await guestd.stop(), 0)
  t.equal(fsck(workspace).status, 0)
  const after = await inspect(workspace)
  t.match(after, { mark: { sessionId: 'one', runtimeVersion: '1' }, content: { label: /./ } })
  t.equal(after.content.label, before.content.label)
  t.equal(after.content.inodes, before.content.inodes)
  t.not(after.content.uuid, before.content.uuid)

  await guestd.start()
  matchExactly(t, await infoOf(guestd), {
    expired: false,
    reset: null,
    resumed: true,
    generation: 3,
  })
  t.match(await listing(guestd), 'new\n')
})

t.test('a volume that may have been used after the last update of its mark is kept', async t => {
  const { workspace, guestd } = await makeUsed(t, reset)
  changeMark(workspace, { state: 'inUse', lastActivityAt: daysAgo(15) })
  await guestd.start()
  matchExactly(t, await infoOf(guestd), { expired: true, reset: null, resumed: true })
  t.match(await listing(guestd), 'kept\n')
})

t.test('a clock of a machine that is ahead has nothing started empty', async t => {
  const { workspace, settings } = await makeUsed(t, reset)
  // To a clock that is 15 days ahead the last activity was 15 days ago.
  changeMark(workspace, { lastActivityAt: daysAgo(15) })
  const ahead = await startGuestd(t, { config: settings })
  t.equal((await putSession(ahead, { id: 'one', runtimeVersion: '1' })).status, 200)
  matchExactly(t, await infoOf(ahead), { expired: true, reset: null, resumed: true, generation: 2 })
  t.match(await listing(ahead), 'kept\n')
  t.match(ahead.log(), '"keptBecause":"the host has not sent its time (hostTime)')
  await ahead.stop()
  t.equal(readMark(workspace).lastActivityBy, undefined)

  // By now the mark has the time of a machine: it may have been behind.
  changeMark(workspace, { lastActivityAt: daysAgo(15) })
  const next = await startGuestd(t, { config: settings })
  await putSession(next, { id: 'one', runtimeVersion: '1', hostTime: hostTime() })
  matchExactly(t, await infoOf(next), { expired: true, reset: null, resumed: true, generation: 3 })
  t.match(await listing(next), 'kept\n')
  t.match(next.log(), "its last activity is known by a machine's clock alone")
  await next.stop()
  t.equal(readMark(workspace).lastActivityBy, 'host')
})

t.test('a wall clock that is set ahead after hostTime has nothing started empty', async t => {
  const { workspace, guestd } = await makeUsed(t, reset)
  const clockFile = join(guestd.dir, 'run', CLOCK_FILE)
  const kept = JSON.parse(readFileSync(clockFile, 'utf8'))
  // As if the wall clock went 20 days ahead since then.
  kept.content.wallMs -= 20 * DAY_MS
  writeFileSync(clockFile, JSON.stringify(kept))
  await guestd.start()
  matchExactly(t, await infoOf(guestd), {
    expired: false,
    reset: null,
    resumed: true,
    generation: 2,
  })
  t.match(await listing(guestd), 'kept\n')
  const later = Date.parse(String(readMark(workspace).lastActivityAt))
  t.ok(later > Date.now() + 19 * DAY_MS, 'for the mark the later time counts')
})

t.test("a volume expires by the host's time, and that is written to the mark", async t => {
  const { workspace, settings } = await makeUsed(t, { requireSession: true })
  const next = await startGuestd(t, { config: settings })
  const later = daysAgo(-20)
  const reply = await putSession(next, { id: 'one', runtimeVersion: '1', hostTime: later })
  const info: SessionInfo = JSON.parse(reply.text)
  matchExactly(t, info, { expired: true, reset: null, resumed: true })
  t.ok(Date.parse(String(info.expiresAt)) >= Date.parse(later) + 14 * DAY_MS, `${info.expiresAt}`)
  t.match(next.log(), 'the clock of this machine differs from the time of the host')
  t.ok(Date.parse(String(readMark(workspace).lastActivityAt)) >= Date.parse(later))
  await next.stop()
  t.ok(Date.parse(String(readMark(workspace).lastActivityAt)) >= Date.parse(later))
})

t.test('an invalid time is refused', async t => {
  const guestd = await startGuestd(t)
  for (const wrong of ['2026-13-01T00:00:00Z', 'now', '1700000000', '2026-01-01T00:00:00+02:00']) {
    const reply = await putSession(guestd, { id: 'one', hostTime: wrong })
    t.equal(reply.status, 400, wrong)
    t.match(reply.json(), { code: 'invalid_request', field: 'hostTime' })
  }
})

t.test('what is said of the expiry agrees with the mark', async t => {
  const { workspace, guestd } = await makeUsed(t)
  const ahead = daysAgo(-20)
  changeMark(workspace, { lastActivityAt: ahead })
  await guestd.start()
  const at = () => Date.parse(String(readMark(workspace).lastActivityAt))
  const expiresAt = async () => Date.parse(String((await infoOf(guestd)).expiresAt))
  t.equal(await expiresAt(), at() + 14 * DAY_MS)
  t.equal((await guestd.request('POST', '/v1/session/stop')).status, 200)
  t.equal(await expiresAt(), at() + 14 * DAY_MS)
})

t.test('a clock that is behind makes no volume older', async t => {
  const { workspace, guestd } = await makeUsed(t)
  const ahead = daysAgo(-20)
  changeMark(workspace, { lastActivityAt: ahead })
  await guestd.start()
  t.equal(readMark(workspace).lastActivityAt, ahead)
  await guestd.stop()
  t.equal(readMark(workspace).lastActivityAt, ahead)
})

t.test('another runtime version keeps the data by default', async t => {
  const { settings } = await makeUsed(t, { requireSession: true })
  const next = await startGuestd(t, { config: settings })
  await putSession(next, { id: 'one', runtimeVersion: '2' })
  matchExactly(t, await infoOf(next), { reset: null, resumed: true, generation: 2 })
  t.match(await listing(next), 'kept\n')
})

t.test('another runtime version has it started empty where that is configured', async t => {
  const { workspace, settings } = await makeUsed(t, {
    requireSession: true,
    onVersionChange: 'reset',
  })
  const nextWith = async (body: object) => {
    const next = await startGuestd(t, { config: settings })
    const reply = await putSession(next, body)
    const files = await listing(next)
    await next.stop()
    return { info: reply.json(), files }
  }
  const same = await nextWith({ id: 'one', runtimeVersion: '1' })
  matchExactly(t, same.info, { reset: null, resumed: true, generation: 2 })
  const changed = await nextWith({ id: 'one', runtimeVersion: '2' })
  t.match(changed.info, { reset: 'versionChanged', resumed: false, generation: 3, expired: false })
  t.equal(changed.files, '')
  t.match(readMark(workspace), { runtimeVersion: '2', generation: 3, sessionId: 'one' })
  const unnamed = await nextWith({ id: 'one' })
  matchExactly(t, unnamed.info, { reset: null, resumed: true, generation: 4 })
})

const cuts: readonly [when: string, damage: (image: string) => void][] = [
  ['before its first byte', () => {}],
  ['when the superblock is gone', image => zero(image, SUPERBLOCK, 1024)],
  ['when its beginning is gone', image => zero(image, 0, 1024 * 1024)],
  ['when all of it is gone', image => zero(image, 0, statSync(image).size - MARK_AREA_BYTES)],
]

function zero(image: string, offset: number, length: number): void {
  withFile(image, fd => writeSync(fd, Buffer.alloc(length), 0, length, offset))
}

for (const [when, damage] of cuts) {
  t.test(`an empty start that was cut off ${when} is done again`, async t => {
    const label = `cut-${process.pid}-${cuts.findIndex(cut => cut[0] === when)}`
    const { workspace } = await makeUsed(t, {}, ['--label', label])
    const { content } = await inspect(workspace)
    const pending = {
      why: 'expired',
      blocks: content.bytes / content.blockBytes,
      blockBytes: content.blockBytes,
      inodes: content.inodes,
      reservedBlocks: 0,
      label,
      mmp: false,
    } as const
    changeMark(workspace, { state: 'inUse', generation: 2, pending })
    damage(workspace)
    const device = attach(t, workspace)
    const at = makeMountPoint(t)
    const config = { workspace: `LABEL=${label}`, workspaceMount: at }
    const guestd = await startGuestd(t, { config })
    t.match(await infoOf(guestd), {
      workspace: { ok: true, device },
      reset: 'expired',
      resumed: false,
      generation: 2,
    })
    t.equal(await listing(guestd), '')
    t.equal(await guestd.stop(), 0)
    t.equal(run('e2label', device).trim(), label)
    t.equal(readMark(workspace).pending, undefined)
    t.match(readMark(workspace), { sessionId: 'one', generation: 2, state: 'clean' })
  })
}

/** Every 4 KiB piece that differs: what a machine may or may not have written when it died. */
function piecesThatDiffer(before: Buffer, after: Buffer): number[] {
  return Array.from(
    { length: after.length / PIECE_BYTES },
    (_, piece) => piece * PIECE_BYTES,
  ).filter(
    at => !before.subarray(at, at + PIECE_BYTES).equals(after.subarray(at, at + PIECE_BYTES)),
  )
}

const PIECE_BYTES = 4096

t.test('an empty start of which any part was written is done again', async t => {
  const { workspace, guestd } = await makeUsed(t, reset)
  const end = statSync(workspace).size - MARK_AREA_BYTES
  const { content } = await inspect(workspace)
  const { bytes, blockBytes, inodes, label } = content
  const plan = { blocks: bytes / blockBytes, blockBytes, inodes, label }
  changeMark(workspace, {
    state: 'inUse',
    generation: 2,
    pending: { why: 'expired', reservedBlocks: 0, mmp: false, ...plan },
  })
  const before = readFileSync(workspace)
  await guestd.start()
  await guestd.stop()
  const pieces = piecesThatDiffer(before, readFileSync(workspace)).filter(at => at < end)
  t.ok(pieces.length > 10, `${pieces.length} pieces`)
  const after = readFileSync(workspace)
  const written = fc.sample(fc.subarray(pieces), { numRuns: 6, seed: 7 })
  for (const subset of [...written, pieces.slice(0, 1), pieces.slice(1)]) {
    const cut = Buffer.from(before)
    for (const at of subset) after.copy(cut, at, at, at + PIECE_BYTES)
    writeFileSync(workspace, cut)
    await guestd.start()
    // What runDir holds is of another volume: the host sets the session again.
    await putSession(guestd, { id: 'one', runtimeVersion: '1' })
    t.match(await infoOf(guestd), { reset: 'expired', resumed: false, workspace: { ok: true } })
    t.equal(await listing(guestd), '')
    t.equal(await guestd.stop(), 0)
    t.equal(fsck(workspace).status, 0, `${subset.length} of ${pieces.length} pieces`)
  }
})
