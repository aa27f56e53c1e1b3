import { closeSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { cutPower, makeImage, makeMountPoint, run } from '../helpers/volume.ts'
import { unavailable } from './support.ts'

const SUPERBLOCK = 1024
const HEAD_BYTES = 68 * 1024

function write(path: string, offset: number, bytes: Buffer): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, offset)
  closeSync(fd)
}

/** A volume that was used by the session `one`, with a file. */
async function makeUsed(t: Parameters<typeof makeScratch>[0], size: string) {
  const workspace = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', workspace, '--size', size, '--session', 'one'])
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: makeMountPoint(t) } })
  await runCommand(guestd, { command: 'echo kept > file' })
  await guestd.stop()
  return { workspace, guestd }
}

const kinds = [
  ['whose superblock is zeros', SUPERBLOCK, Buffer.alloc(1024), /session one without a superblock/],
  ['whose superblock is noise', SUPERBLOCK, Buffer.alloc(1024, 'noise'), /without a superblock/],
  ['whose beginning is zeros', 0, Buffer.alloc(HEAD_BYTES), /one without a superblock/],
  ['with a wrong checksum', SUPERBLOCK + 0x10, Buffer.alloc(1, 0xff), /with a broken superblock/],
] as const

for (const [what, offset, bytes, says] of kinds) {
  t.test(`a volume ${what} is reported as damaged, and not changed`, async t => {
    const { workspace, guestd } = await makeUsed(t, '16MiB')
    write(workspace, offset, bytes)
    const before = readFileSync(workspace)
    await guestd.start()
    t.match(await unavailable(guestd), says)
    t.match(await unavailable(guestd), /guestctl volume check --repair/)
    await guestd.stop()
    t.ok(readFileSync(workspace).equals(before))
    t.equal(run('losetup', '--associated', workspace), '')
    t.match((await guestctl(['volume', 'inspect', workspace])).out, says)
    const listed = await guestctl(['volume', 'list', join(workspace, '..')])
    t.match(listed.out, /v\.img +one +1 +damaged/)
    // So small a file system has no backup.
    const repair = await guestctl(['volume', 'check', workspace, '--repair'])
    t.equal(repair.code, 125)
    t.match(repair.out, /less than 128 MiB has none\nNOT SOUND\n/)
    t.ok(readFileSync(workspace).equals(before))
  })
}

t.test('a repair makes the superblock again from its backup', async t => {
  const { workspace, guestd } = await makeUsed(t, '200MiB')
  for (const [what, offset, bytes] of kinds.filter(([what]) => !what.includes('beginning'))) {
    write(workspace, offset, bytes)
    t.equal((await guestctl(['volume', 'check', workspace])).code, 125, what)
    const repair = await guestctl(['volume', 'check', workspace, '--repair'])
    t.equal(repair.code, 0, repair.out)
    t.match((await guestctl(['volume', 'check', workspace])).out, /\nSound\n$/)
  }
  await guestd.start()
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
})

t.test('a repair replays a journal of which the backup knows nothing', async t => {
  const { workspace, guestd } = await makeUsed(t, '200MiB')
  const at = makeMountPoint(t)
  run('mount', '-o', 'loop', workspace, at)
  run('sh', '-c', `mkdir ${at}/folder; echo more > ${at}/folder/file; sync ${at}/folder/file`)
  cutPower(at, 'journal')
  run('umount', at)
  write(workspace, SUPERBLOCK, Buffer.alloc(1024))
  const repair = await guestctl(['volume', 'check', workspace, '--repair'])
  t.equal(repair.code, 0, repair.out)
  await guestd.start()
  const { stdout } = await runCommand(guestd, { command: 'cat file folder/file' })
  t.equal(stdout, 'kept\nmore\n')
})

/** The shape of the check with `--json`. */
interface Check {
  readonly sound: boolean
  readonly changes: readonly string[] | null
  readonly needsFull: boolean
}

t.test('what a safe repair refuses a full one repairs, and lists each change', async t => {
  const { workspace, guestd } = await makeUsed(t, '32MiB')
  // Without the root folder every file has lost its name.
  run('debugfs', '-w', '-R', 'clri <2>', workspace)
  const check = async (...more: string[]) => {
    const { code, out } = await guestctl(['volume', 'check', workspace, '--json', ...more])
    const { sound, changes, needsFull }: Check = JSON.parse(out)
    return { code, sound, changes, needsFull }
  }
  const refused = { code: 125, sound: false, changes: null }
  t.same(await check(), { ...refused, needsFull: false })
  t.same(await check('--repair'), { ...refused, needsFull: true })
  const repair = await guestctl(['volume', 'check', workspace, '--repair'])
  t.match(
    repair.out,
    /\nNOT SOUND: --repair=full repairs the rest, and may lose files: keep a copy/,
  )
  await guestd.start()
  t.match(await unavailable(guestd), /'guestctl volume check FILE --repair=full' on the host/)
  await guestd.stop()

  const { changes, ...full } = await check('--repair=full')
  t.same(full, { code: 0, sound: true, needsFull: false })
  t.ok(changes !== null && changes.length >= 2, `${changes}`)
  for (const change of changes ?? []) t.match(change, /^\S.*\? yes$/)
  t.match(changes?.[0], /[Rr]oot inode/)
  t.same(await check('--repair=full'), { ...full, changes: [] })
  t.same(await check(), { ...full, changes: null })
  await guestd.start()
  const found = await runCommand(guestd, { command: 'cat lost+found/*', user: 0 })
  t.equal(found.stdout, 'kept\n')
})

t.test('a damaged group descriptor fails neither a look nor a repair', async t => {
  const { workspace, guestd } = await makeUsed(t, '200MiB')
  const { content } = JSON.parse((await guestctl(['volume', 'inspect', workspace, '--json'])).out)
  const descriptors = Math.max(content.blockBytes, 2 * SUPERBLOCK)
  for (const byte of [0xa5, 0xff, 0]) {
    write(workspace, descriptors, Buffer.alloc(64, byte))
    const looked = await guestctl(['volume', 'inspect', workspace, '--json'])
    t.equal(looked.code, 0, `${byte}: ${looked.err}`)
    const checked = await guestctl(['volume', 'check', workspace, '--json'])
    t.equal(checked.code, 125, `${byte}: ${checked.err}`)
    t.equal(JSON.parse(checked.out).sound, false, `${byte}`)
    const repair = await guestctl(['volume', 'check', workspace, '--repair=full', '--json'])
    t.equal(repair.code, 0, `${byte}: ${repair.err}`)
    t.equal(JSON.parse(repair.out).sound, true, `${byte}`)
  }
  await guestd.start()
  t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
})

t.test('a volume that was cut off is not sound, and is left as it is', async t => {
  const path = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', path, '--size', '32MiB'])
  truncateSync(path, 20 * 1024 * 1024)
  const before = readFileSync(path)
  for (const more of [[], ['--repair'], ['--repair=full']]) {
    const { code, out } = await guestctl(['volume', 'check', path, ...more])
    t.equal(code, 125)
    t.match(out, /has been cut off: an ext4 of \d+ bytes in 20971520\nNOT SOUND\n/)
  }
  t.ok(readFileSync(path).equals(before))
})

t.test('what is something else by now is not made the ext4 that it was', async t => {
  const path = makeImage(t, { mib: 300 })
  run('mkswap', path)
  const before = readFileSync(path)
  const { code, err } = await guestctl(['volume', 'check', path, '--repair'])
  t.equal(code, 125)
  t.match(err, `${path} is no volume: it is swap`)
  t.ok(readFileSync(path).equals(before))
})

t.test('a FIFO is refused as a volume without a wait', async t => {
  const path = join(makeScratch(t), 'fifo')
  run('mkfifo', path)
  const { code, err } = await guestctl(['volume', 'inspect', path])
  t.equal(code, 125)
  t.match(err, /is neither a file nor a block device/)
})
