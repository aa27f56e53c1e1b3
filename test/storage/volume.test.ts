import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statfsSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { fsck, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

const MIB = 1024 * 1024

t.test('a new volume gives exactly its size, to the byte', async t => {
  const folder = makeScratch(t)
  for (const size of ['16MiB', '100M', '1GiB']) {
    const path = join(folder, `${size}.img`)
    const made = await guestctl(['volume', 'create', path, '--size', size])
    t.equal(made.code, 0, made.err)
    t.match(made.out, /Content: +ext4 labelled guestd-workspace\n/)
    const at = makeMountPoint(t)
    run('mount', '-o', 'loop', path, at)
    const { bavail, bsize } = statfsSync(at)
    run('umount', at)
    const wanted = { '16MiB': 16 * MIB, '100M': 100 * MIB, '1GiB': 1024 * MIB }[size]
    t.equal(bavail * bsize, wanted, size)
    t.equal(fsck(path).status, 0)
  }
  t.same(readdirSync(folder).length, 3, 'no drafts are left')
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
  t.match(used.out, /v\.img +one +1 /)
  await guestd.stop()
  const seen = await guestctl(['volume', 'inspect', path, '--json'])
  t.match(JSON.parse(seen.out), { mark: { sessionId: 'one', generation: 1, state: 'clean' } })
  const text = await guestctl(['volume', 'inspect', path])
  t.match(text.out, /Mark: +clean\nSession: +one\nGeneration: +1\nLast stop: +clean\n/)
})

t.test('what exists is never written over', async t => {
  const image = makeImage(t)
  const before = readFileSync(image)
  const made = await guestctl(['volume', 'create', image, '--size', '16MiB'])
  t.equal(made.code, 125)
  t.match(made.err, `${image} exists already`)
  t.ok(readFileSync(image).equals(before))
})

t.test('a check says whether it is sound, and mends it when asked', async t => {
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

/** Holds the lock as QEMU does: shared, on the bytes of the permissions that it uses. */
const HOLD = `import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
for byte in (100, 101, 201, 203):
    fcntl.fcntl(fd, 37, struct.pack("hhqqi", fcntl.F_RDLCK, 0, byte, 1, 0))
print("held", flush=True)
time.sleep(600)`

t.test('a volume that a machine has is told as in use, and neither checked nor swept', async t => {
  const folder = makeScratch(t)
  const path = join(folder, 'v.img')
  await guestctl(['volume', 'create', path, '--size', '16MiB', '--session', 'one'])
  const holder = spawn('python3', ['-c', HOLD, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(holder, 'exit')
  t.teardown(() => void holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  const check = await guestctl(['volume', 'check', path])
  t.equal(check.code, 125)
  t.match(check.err, /is in use/)
  t.match((await guestctl(['volume', 'list', folder])).out, /v\.img +one +0 +in use/)
  const sweep = ['volume', 'sweep', folder, '--older-than', '0s', '--delete']
  t.equal((await guestctl(sweep)).out, '')
  t.ok(existsSync(path))
  holder.kill('SIGKILL')
  await ended
  t.equal((await guestctl(['volume', 'sweep', folder, '--older-than', '0s'])).out, `${path}\n`)
  t.ok(existsSync(path), 'only listed')
  t.equal((await guestctl(sweep)).out, `deleted ${path}\n`)
  t.notOk(existsSync(path))
})

t.test('sweep leaves what was used lately, what has no mark, and what is no volume', async t => {
  const folder = makeScratch(t)
  const used = join(folder, 'used.img')
  await guestctl(['volume', 'create', used, '--size', '16MiB', '--session', 'one'])
  await guestctl(['volume', 'create', join(folder, 'new.img'), '--size', '16MiB'])
  run('truncate', '-s', '1M', join(folder, 'other'))
  const long = new Date(0)
  for (const name of readdirSync(folder)) utimesSync(join(folder, name), long, long)
  const swept = await guestctl(['volume', 'sweep', folder, '--older-than', '1h', '--delete'])
  t.same([swept.code, swept.out], [0, ''])
  t.equal(readdirSync(folder).length, 3)
  t.equal(
    (await guestctl(['volume', 'sweep', folder, '--older-than', '0s', '--delete'])).out,
    `deleted ${used}\n`,
  )
  t.ok(statSync(join(folder, 'new.img')).isFile())
})

t.test('wrong usage is told', async t => {
  const cases: readonly [args: string[], says: RegExp][] = [
    [['volume'], /there is no 'volume '/],
    [['volume', 'create'], /the path is missing/],
    [['volume', 'create', 'x', '--size', '5000'], /multiple of 4 KiB/],
    [['volume', 'create', 'x', '--label', 'a-label-of-17-chrs'], /a label has 16 at most/],
    [['volume', 'inspect', '/nope'], /ENOENT/],
    [['volume', 'list', '/nope'], /ENOENT/],
  ]
  for (const [args, says] of cases) {
    const { code, err } = await guestctl(args)
    t.equal(code, 125)
    t.match(err, says)
  }
})
