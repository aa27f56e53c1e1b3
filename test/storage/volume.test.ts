import { copyFileSync, readdirSync, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, fsck, makeBlank, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

const MIB = 1024 * 1024

t.test('a new volume gives exactly its size, to the byte', async t => {
  const folder = makeScratch(t)
  // With an inode for every block no ext4 has exactly the last one.
  const sizes = {
    '16MiB': 16 * MIB,
    '100M': 100 * MIB,
    '1GiB': 1024 * MIB,
    '1721438208': 1_721_438_208,
  }
  for (const [size, wanted] of Object.entries(sizes)) {
    const path = join(folder, `${size}.img`)
    const made = await guestctl(['volume', 'create', path, '--size', size])
    t.equal(made.code, 0, made.err)
    t.match(made.out, /Content: +ext4 labelled guestd-workspace\n/)
    const at = makeMountPoint(t)
    run('mount', '-o', 'loop', path, at)
    const { bavail, bsize } = statfsSync(at)
    run('umount', at)
    t.equal(bavail * bsize, wanted, size)
    t.equal(fsck(path).status, 0)
  }
  t.same(readdirSync(folder).length, 4, 'no drafts are left')
})

t.test('with a number of files it still gives its size, and room for so many', async t => {
  const folder = makeScratch(t)
  for (const files of [1, 1000, 4096]) {
    const path = join(folder, `${files}.img`)
    await guestctl(['volume', 'create', path, '--size', '16MiB', '--files', String(files)])
    const at = makeMountPoint(t)
    run('mount', '-o', 'loop', path, at)
    const { bavail, bsize, ffree } = statfsSync(at)
    run('umount', at)
    t.equal(bavail * bsize, 16 * MIB)
    t.ok(ffree >= files && ffree < files + 64, `${ffree} for ${files}`)
  }
})

t.test('guestd uses such a volume: the cap holds root, and the mark is kept', async t => {
  const path = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', path, '--size', '16MiB', '--session', 'one'])
  const config = { workspace: path, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  const filled = await runCommand(guestd, { command: 'cat /dev/zero > big; stat -c %s big' })
  t.equal(filled.exit.workspaceFull, 'bytes')
  const written = Number(filled.stdout)
  await runCommand(guestd, { command: 'rm big; echo kept > file' })
  t.ok(written <= 16 * MIB && written >= 16 * MIB - 8192, `${written}`)

  const used = await guestctl(['volume', 'list', join(path, '..')])
  t.match(used.out, /v\.img +one +1 +in use .*shows it, mounted at /)
  const refused = await guestctl(['volume', 'inspect', path])
  t.match(refused.err, new RegExp(`guestd\\.js .*\\(pid ${guestd.pid}\\) uses it \\(fd `))
  await guestd.stop()
  const seen = await guestctl(['volume', 'inspect', path, '--json'])
  t.match(JSON.parse(seen.out), { mark: { sessionId: 'one', generation: 1, state: 'clean' } })
  const text = await guestctl(['volume', 'inspect', path])
  t.match(text.out, /Mark: +clean\nSession: +one\nRuntime version: +none\nGeneration: +1\n/)
  t.match(text.out, /Last stop: +clean, 20/)
})

t.test('what exists is never written over', async t => {
  const image = makeImage(t)
  const before = readFileSync(image)
  const made = await guestctl(['volume', 'create', image, '--size', '16MiB'])
  t.equal(made.code, 125)
  t.match(made.err, `${image} exists already`)
  t.ok(readFileSync(image).equals(before))
})

t.test('a check reports damage, and repairs it when asked', async t => {
  const path = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', path, '--size', '16MiB'])
  t.equal((await guestctl(['volume', 'check', path])).code, 0)
  run('debugfs', '-w', '-R', 'set_inode_field <2> links_count 99', path)
  const broken = await guestctl(['volume', 'check', path])
  t.equal(broken.code, 125)
  t.match(broken.out, /NOT SOUND\n$/)
  t.equal((await guestctl(['volume', 'check', path, '--repair'])).code, 0)
  t.match((await guestctl(['volume', 'check', path])).out, /\nSound\n$/)
})

t.test('a sound volume of a crashed machine is reported as not left clean', async t => {
  const image = makeImage(t, { mark: true })
  const guestd = await startGuestd(t, {
    config: { workspace: image, workspaceMount: makeMountPoint(t) },
  })
  await runCommand(guestd, { command: 'echo x > file; sync' })
  const copy = makeBlank(t)
  copyFileSync(image, copy)
  await guestd.stop()
  const { code, out } = await guestctl(['volume', 'check', copy])
  t.equal(code, 0)
  t.match(
    out,
    /\nSound, but not left clean: the next start replays its journal, as --repair does\n$/,
  )
  t.match((await guestctl(['volume', 'check', copy, '--repair'])).out, /\nSound\n$/)
})

t.test('wrong usage is refused with the reason', async t => {
  const cases: readonly [args: string[], says: RegExp][] = [
    [['volume'], /volume: say what to do: create, inspect/],
    [['volume', 'mend', 'x'], /there is no 'volume mend': create, /],
    [['volume', 'create'], /the path is missing/],
    [
      ['volume', 'create', 'x', '--size', '5000'],
      /too small: with less than 16MiB there is no journal/,
    ],
    [['volume', 'create', 'x', '--size', '16777217'], /not a multiple of 4 KiB/],
    [['volume', 'create', 'x', '--size', '1GB'], /powers of 1,000: for those of 1,024 say 1GiB/],
    [['volume', 'create', 'x', '--size', '9TiB'], /too large: 8TiB is the most/],
    [
      ['volume', 'create', 'x', '--files', '0'],
      /not from 1 to 262144, which is one for every 4 KiB/,
    ],
    [['volume', 'create', 'x', '--size', '16MiB', '--files', '4097'], /not from 1 to 4096/],
    [['volume', 'sweep', '.', '--older-than', '1d'], /older-than/],
    [['volume', 'create', 'x', '--label', 'a-label-of-17-chrs'], /a label has 16 at most/],
    [['volume', 'inspect', '/nope'], /there is no \/nope\n/],
    [['volume', 'create', '/nope/x'], /there is no folder \/nope\n/],
    [['volume', 'list', '/dev/null'], /\/dev\/null is no folder\n/],
    [['volume', 'inspect', 'x', '--repair'], /volume inspect takes no --repair: that is for check/],
    [['volume', 'sweep', '.', '--idle', '0d'], /every volume that was ever used has expired/],
    [['volume', 'list', '/nope'], /there is no \/nope\n/],
  ]
  for (const [args, says] of cases) {
    const { code, err } = await guestctl(args)
    t.equal(code, 125)
    t.match(err, says)
  }
})

t.test('an inspection has the usage and the time of expiry', async t => {
  const path = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', path, '--size', '16MiB'])
  const inspect = async () =>
    JSON.parse((await guestctl(['volume', 'inspect', path, '--json'])).out)
  matchExactly(t, await inspect(), {
    markPlace: 'empty',
    usage: { usedBytes: 0, capBytes: 16 * MIB, usedInodes: 0, availableInodes: 4086, exact: true },
    lastActivityAt: null,
    expiresAt: null,
    expired: false,
    holders: [],
  })
  const config = { workspace: path, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  await runCommand(guestd, { command: 'head -c 1M /dev/zero > file; mkdir folder' })
  const { usage: inGuest } = (await infoOf(guestd)).workspace
  await guestd.stop()
  const seen = await inspect()
  const { full, at: _, ...sums } = inGuest ?? {}
  t.match(seen.usage, { ...sums, exact: true })
  t.equal(full, null)
  t.equal(seen.usage.usedInodes, 2)
  // By the time in the mark, or that of the file where it is later.
  const last = Math.max(Date.parse(seen.lastActivityAt), Date.parse(seen.changedAt))
  t.equal(Date.parse(seen.expiresAt) - last, 14 * 24 * 3_600_000)
  const expired = await guestctl(['volume', 'inspect', path, '--idle', '1ms'])
  t.match(expired.out, /Used: +1\.0 MiB of 16\.0 MiB\n/)
  t.match(expired.out, /Expires: +20\S+ \(expired\)\n$/)
})

t.test('what is no image file is not made one', async t => {
  const device = attach(t, makeBlank(t))
  const { code, err } = await guestctl(['volume', 'create', device])
  t.equal(code, 125)
  t.match(err, `${device} is a block device: create makes image files`)
})
