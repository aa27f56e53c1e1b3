import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { changeMark, writeAfter } from '../helpers/mark.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { attach, run } from '../helpers/volume.ts'

/** Holds the lock as QEMU does: shared, on the bytes of the permissions that it uses. */
const LOCK = `import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
for byte in (100, 101, 201, 203):
    fcntl.fcntl(fd, 37, struct.pack("hhqqi", fcntl.F_RDLCK, 0, byte, 1, 0))
print("held", flush=True)
time.sleep(600)`

/** As a machine monitor that takes no lock. */
const OPEN = `import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
print("held", flush=True)
time.sleep(600)`

type Test = Parameters<typeof makeScratch>[0]

async function hold(t: Test, script: string, path: string): Promise<ChildProcess> {
  const holder = spawn('python3', ['-c', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => void holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  return holder
}

async function makeVolume(folder: string, name: string, session = 'one'): Promise<string> {
  const path = join(folder, name)
  const args = session === '' ? [] : ['--session', session]
  const made = await guestctl(['volume', 'create', path, '--size', '16MiB', ...args])
  if (made.code !== 0) throw new Error(made.err)
  if (session !== '') changeMark(path, { generation: 1 })
  return path
}

const volumesOf = async (folder: string) =>
  JSON.parse((await guestctl(['volume', 'list', folder, '--json'])).out).volumes
const sweep = (folder: string, ...more: string[]) =>
  guestctl(['volume', 'sweep', folder, '--idle', '1ms', ...more])

for (const [what, script, says] of [
  ['has the lock of', LOCK, 'has its lock'],
  ['has open', OPEN, 'has it open for writing'],
] as const) {
  t.test(`a volume that a machine ${what} is left alone, and its holder named`, async t => {
    const folder = makeScratch(t)
    const path = await makeVolume(folder, 'v.img')
    const holder = await hold(t, script, path)
    const ended = once(holder, 'exit')
    const who = `\\(pid ${holder.pid}\\) ${says}`
    for (const args of [
      ['inspect', path],
      ['check', path],
      ['check', path, '--repair'],
    ]) {
      const refused = await guestctl(['volume', ...args])
      t.equal(refused.code, 125)
      t.match(refused.err, new RegExp(`v\\.img is in use: \\S*python3 -c .* ${who}`))
    }
    t.match((await guestctl(['volume', 'list', folder])).out, new RegExp(`one +1 +in use .*${who}`))
    matchExactly(t, await volumesOf(folder), [{ holders: [{ pid: holder.pid, how: says }] }])
    const swept = await sweep(folder)
    t.equal(swept.code, 0)
    t.match(swept.out, new RegExp(`^kept ${path}, session one, idle for .*: in use: .*${who}\n`))
    t.ok(existsSync(path))
    holder.kill('SIGKILL')
    await ended
    t.equal((await guestctl(['volume', 'check', path])).code, 0)
  })
}

t.test('one with a loop device is in use, mounted or not', async t => {
  const folder = makeScratch(t)
  const path = await makeVolume(folder, 'v.img')
  const device = attach(t, path)
  const says = new RegExp(`in use: ${device} is a loop device of it`)
  t.match((await guestctl(['volume', 'inspect', path])).err, says)
  t.match((await sweep(folder)).out, says)
  const at = join(makeScratch(t), 'at')
  run('mkdir', at)
  run('mount', device, at)
  t.match((await guestctl(['volume', 'check', path])).err, `shows it, mounted at ${at}`)
  t.match((await guestctl(['volume', 'check', device])).err, `${at} is where it is mounted`)
  run('umount', at)
  t.equal((await guestctl(['volume', 'check', device])).code, 0)
  t.ok(existsSync(path))
})

t.test('sweep deletes expired volumes, and prints each and the sum', async t => {
  const folder = makeScratch(t)
  const path = await makeVolume(folder, 'v.img', 'gone')
  const dry = await sweep(folder, '--dry-run')
  t.match(dry.out, new RegExp(`^would be deleted: ${path}, session gone, idle for `))
  t.match(dry.out, /\n1 would be deleted, 0 kept; /)
  t.ok(existsSync(path))
  const { code, out } = await sweep(folder, '--json')
  t.equal(code, 0)
  matchExactly(t, JSON.parse(out), {
    dryRun: false,
    volumes: [{ path, outcome: 'deleted', reason: null, sessionId: 'gone', idleMs: Number }],
  })
  t.notOk(existsSync(path))
  t.equal((await sweep(folder)).out, '0 kept; 0 B of the disk\n')
})

t.test('sweep leaves what is not expired, not used, not a volume, or behind a link', async t => {
  const folder = makeScratch(t)
  const elsewhere = await makeVolume(makeScratch(t), 'elsewhere.img')
  await makeVolume(folder, 'used.img')
  await makeVolume(folder, 'new.img', '')
  const newer = await makeVolume(folder, 'newer.img')
  writeAfter(newer, 0, Buffer.from('guestd-mark 2 '))
  run('truncate', '-s', '1M', join(folder, 'other'))
  symlinkSync(elsewhere, join(folder, 'link.img'))
  const long = new Date(0)
  for (const name of readdirSync(folder)) utimesSync(join(folder, name), long, long)
  const lately = await guestctl(['volume', 'sweep', folder, '--idle', '1h'])
  t.match(lately.out, /used\.img, session one, idle for .*: it is not idle for that long\n/)
  const { code, out } = await sweep(folder)
  t.equal(code, 0)
  t.match(out, /kept \S+new\.img: it has not been used yet\n/)
  t.match(out, /kept \S+newer\.img: its mark was written by a newer guestd\n/)
  t.match(out, /\n1 deleted, 2 kept; /)
  t.same(readdirSync(folder).sort(), ['link.img', 'new.img', 'newer.img', 'other'])
  t.ok(existsSync(elsewhere))
  t.match((await guestctl(['volume', 'inspect', newer])).out, /Mark: +that of a newer guestd/)
})

t.test('a volume that was made for a session and never used does not expire', async t => {
  const folder = makeScratch(t)
  const path = await makeVolume(folder, 'v.img')
  changeMark(path, { generation: 0 })
  t.match((await sweep(folder)).out, /^kept .*: it has not been used yet\n/)
  const [seen] = await volumesOf(folder)
  matchExactly(t, seen, { lastActivityAt: null, expiresAt: null, expired: false })
})

t.test('a file that was written to lately has not expired, whatever its mark says', async t => {
  const folder = makeScratch(t)
  const path = await makeVolume(folder, 'v.img')
  const lastActivityAt = '2020-01-01T00:00:00.000Z'
  changeMark(path, { lastActivityAt })
  const kept = await guestctl(['volume', 'sweep', folder, '--idle', '1h'])
  t.match(kept.out, /^kept .*: it is not idle for that long\n/)
  utimesSync(path, new Date(lastActivityAt), new Date(lastActivityAt))
  const swept = await guestctl(['volume', 'sweep', folder, '--idle', '1h'])
  t.match(swept.out, /\n1 deleted, 0 kept; /)
})

t.test('sweep fails when it could not delete one, and goes on with the others', async t => {
  const folder = makeScratch(t)
  const stuck = await makeVolume(folder, 'a.img')
  const other = await makeVolume(folder, 'b.img')
  run('chattr', '+i', stuck)
  t.teardown(() => void run('chattr', '-i', stuck))
  const { code, out } = await sweep(folder)
  t.equal(code, 125)
  t.match(out, new RegExp(`^FAILED ${stuck}, session one.*: .*(EPERM|EACCES)`))
  t.match(out, /1 deleted, 0 kept, 1 could not be deleted; /)
  t.notOk(existsSync(other))
  run('chattr', '-i', stuck)
  run('chattr', '+i', folder)
  t.teardown(() => void run('chattr', '-i', folder))
  t.match((await sweep(folder)).out, /^FAILED .*EPERM/)
  run('chattr', '-i', folder)
  t.ok(existsSync(stuck))
})

t.test('an unreadable file is reported, and the others are still listed', async t => {
  const folder = makeScratch(t)
  await makeVolume(folder, 'good.img')
  const bad = join(folder, 'bad.img')
  writeFileSync(bad, '')
  // Root may read any file: of the memory of a process nothing is at byte 0.
  run('mount', '--bind', `/proc/${process.pid}/mem`, bad)
  t.teardown(() => void run('umount', bad))
  const listed = await guestctl(['volume', 'list', folder])
  t.equal(listed.code, 125)
  t.match(listed.out, /good\.img +one +1 +clean/)
  t.match(listed.out, /\nnot read: EIO/)
  const swept = await sweep(folder)
  t.equal(swept.code, 125)
  t.match(swept.out, /FAILED \S+bad\.img: EIO/)
  t.match(swept.out, /\n1 deleted, 0 kept, 1 could not be deleted; /)
})

t.test('an idle time without a unit is refused: days are meant, and seconds taken', async t => {
  const folder = makeScratch(t)
  const path = await makeVolume(folder, 'v.img')
  for (const idle of ['14', '0', '1.5']) {
    const { code, err } = await guestctl(['volume', 'sweep', folder, '--idle', idle])
    t.equal(code, 125)
    t.match(err, `--idle: '${idle}' has no unit: ${idle}d`)
  }
  t.ok(existsSync(path))
})
