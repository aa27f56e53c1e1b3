import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd, type Teardown, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { infoOf, knownUsageOf } from '../helpers/session.ts'
import { attach, type ImageOptions, makeImage, makeMountPoint } from '../helpers/volume.ts'

const MIB = 1024 * 1024

async function onVolume(t: Teardown & Parameters<typeof makeImage>[0], options: ImageOptions = {}) {
  const workspace = attach(t, makeImage(t, options))
  const workspaceMount = makeMountPoint(t)
  return startGuestd(t, { config: { workspace, workspaceMount, user: 'nobody' } })
}

t.test('usage is what was put there, in bytes and in files, and the rest is available', async t => {
  const guestd = await onVolume(t, { mkfs: ['-b', '4096', '-m', '0'] })
  const before = await knownUsageOf(guestd)
  matchExactly(t, before, { usedBytes: 0, usedInodes: 0, full: null })
  t.equal(before.capBytes, before.availableBytes)
  await runCommand(guestd, { command: 'head -c 4M /dev/zero > big; mkdir d; sync -f .' })
  const after = await knownUsageOf(guestd)
  t.equal(after.usedBytes, 4 * MIB + 4096, 'a file, and a folder of one block')
  t.equal(after.usedInodes, 2)
  t.equal(after.capBytes, before.capBytes)
  const { capEnforcement, enforcedFor } = (await infoOf(guestd)).workspace
  t.same([capEnforcement, enforcedFor], ['kernel', 'everyone'])
})

t.test('a file system with a reserve for root holds only users', async t => {
  const guestd = await onVolume(t, { mkfs: ['-m', '5'] })
  t.equal((await infoOf(guestd)).workspace.enforcedFor, 'users')
})

t.test('a command that fills the workspace gets ENOSPC, and its exit says why', async t => {
  const guestd = await onVolume(t, { mkfs: ['-m', '0'] })
  const full = await runCommand(guestd, { command: 'head -c 100M /dev/zero > big' })
  t.equal(full.exit.exitCode, 1)
  t.match(full.stderr, 'No space left on device')
  t.equal(full.exit.workspaceFull, 'bytes')
  t.equal((await knownUsageOf(guestd)).full, 'bytes')
  await until(() => guestd.log().includes('"percent":100'))

  const both = [{ command: 'true' }, { command: 'true', allowOverCap: true }]
  for (const body of both) t.equal((await runCommand(guestd, body)).exit.exitCode, 0)

  const cleaned = await runCommand(guestd, { command: 'rm big; sync -f .' })
  t.equal(cleaned.exit.workspaceFull, 'bytes', 'it was full while it ran')
  await until(async () => (await knownUsageOf(guestd)).full === null)
  await until(() => guestd.log().includes('the workspace has room again'))
  t.equal((await runCommand(guestd, { command: 'true' })).exit.workspaceFull, null)
})

t.test('what a large write may fail for and leave over counts as run out', async t => {
  const guestd = await onVolume(t, { mkfs: ['-b', '4096', '-m', '0'] })
  const { availableBytes } = await knownUsageOf(guestd)
  const leave = async (bytes: number) => {
    const command = `fallocate -l ${availableBytes - bytes} big; sync -f .`
    const { exit } = await runCommand(guestd, { command })
    const { full, ...usage } = await knownUsageOf(guestd)
    await runCommand(guestd, { command: 'rm big; sync -f .' })
    return { full, left: usage.availableBytes, reported: exit.workspaceFull }
  }
  t.same(await leave(MIB + 4096), { full: null, left: MIB + 4096, reported: null })
  t.same(await leave(MIB), { full: 'bytes', left: MIB, reported: 'bytes' })
  t.same(await leave(256 * 1024), { full: 'bytes', left: 256 * 1024, reported: 'bytes' })
})

t.test('root has the same limit as users if nothing is reserved', async t => {
  const guestd = await onVolume(t, { mkfs: ['-m', '0'] })
  const command = 'head -c 100M /dev/zero > big'
  const full = await runCommand(guestd, { command, user: 'root', cwd: '.' })
  t.equal(full.exit.exitCode, 1)
  t.equal(full.exit.workspaceFull, 'bytes')
})

t.test('a lack of inodes is reported as such', async t => {
  const guestd = await onVolume(t, { mkfs: ['-N', '64', '-m', '0'] })
  const command = 'for ((i = 0; i < 200; i++)); do : > f$i || exit 9; done'
  const full = await runCommand(guestd, { command })
  t.equal(full.exit.exitCode, 9)
  t.equal(full.exit.workspaceFull, 'inodes')
  t.equal((await knownUsageOf(guestd)).full, 'inodes')
})

t.test('each level is logged once on the way up', async t => {
  const guestd = await onVolume(t, { mkfs: ['-m', '0'] })
  const { capBytes } = await knownUsageOf(guestd)
  const fill = (name: string, percent: number) =>
    runCommand(guestd, {
      command: `head -c ${Math.floor((capBytes * percent) / 100)} /dev/zero > ${name}`,
    })
  await fill('a', 82)
  await until(() => guestd.log().includes('"percent":80'))
  t.notMatch(guestd.log(), '"percent":90,"usedBytes"')
  await fill('b', 10)
  await until(() => guestd.log().includes('"percent":90'))
  t.equal(guestd.log().split('the workspace fills up').length - 1, 2)
})

t.test('the largest folders are listed, and deleted open files with their holders', async t => {
  const guestd = await onVolume(t)
  const command = `mkdir large small; head -c 6M /dev/zero > large/file; : > small/file
    head -c 3M /dev/zero > gone; exec 7< gone; rm gone; touch ready; exec sleep 600`
  await guestd.request('POST', '/v1/commands', { body: { command, detach: true } })
  await until(
    async () => (await runCommand(guestd, { command: 'test -e ready' })).exit.exitCode === 0,
  )
  const largest = (await guestd.request('GET', '/v1/session/largest')).json()
  t.equal(largest.complete, true)
  matchExactly(t, largest.entries, [
    { path: /\/large$/, files: 2 },
    { path: /\/small$/, files: 2 },
    { path: /\/ready$/, files: 1 },
  ])
  matchExactly(t, largest.deletedOpen, [{ name: 'sleep', path: /\/gone$/ }])
  t.ok(Number(largest.deletedOpenBytes) >= 3 * MIB)
  const one = (await guestd.request('GET', '/v1/session/largest?count=1')).json()
  t.equal((one.entries as unknown[]).length, 1)

  const status = await guestctl(['status', '--largest'], { connect: guestd.connect })
  t.equal(status.code, 0)
  t.match(status.out, /Used: +\d.* of .* files of/)
  t.match(status.out, /\n6\.\d MiB +2 +.*\/large\n/)
  t.match(
    status.out,
    /HELD BY +DELETED BUT OPEN \(3\.\d MiB in all\)\n3\.\d MiB +sleep \(pid \d+\)/,
  )
})
