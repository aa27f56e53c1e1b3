/** A workspace has no `lost+found` that its users did not make, unless e2fsck has put something there. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { usageOf } from '../helpers/session.ts'
import { fsck, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

const MIB = 1024 * 1024
const SIZE = 32 * MIB
const EXACT = { mkfs: ['-b', '4096', '-m', '0'], mark: true }

type Test = Parameters<typeof makeScratch>[0]

async function makeVolume(t: Test): Promise<string> {
  const path = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', path, '--size', '32MiB'])
  return path
}

const start = (t: Test, workspace: string) =>
  startGuestd(t, { config: { workspace, workspaceMount: makeMountPoint(t), user: 'nobody' } })

const listing = async (on: Guestd) => (await runCommand(on, { command: 'ls -A' })).stdout

async function usage(on: Guestd) {
  await runCommand(on, { command: 'sync -f .' })
  const now = await usageOf(on)
  return { bytes: now?.usedBytes, files: now?.usedInodes, cap: now?.capBytes }
}

async function offline(path: string) {
  const { out } = await guestctl(['volume', 'inspect', path, '--json'])
  const { usedBytes, usedInodes, capBytes } = JSON.parse(out).usage
  return { bytes: usedBytes, files: usedInodes, cap: capBytes }
}

t.test('programs that read or fill all of a fresh workspace succeed', async t => {
  const path = await makeVolume(t)
  t.same(await offline(path), { bytes: 0, files: 0, cap: SIZE })
  t.equal(fsck(path).status, 0)
  const guestd = await start(t, path)
  t.equal(await listing(guestd), '')
  t.same(await usage(guestd), { bytes: 0, files: 0, cap: SIZE })
  const programs = [
    'find . >/dev/null',
    'du -s .',
    'tar -cf - . >/dev/null',
    'HOME=$PWD git init -q --bare /tmp/$$.git && git clone -q /tmp/$$.git .; code=$?; rm -rf /tmp/$$.git; exit $code',
  ]
  for (const command of programs) {
    const { exit, stderr } = await runCommand(guestd, { command })
    t.equal(exit.exitCode, 0, `${command}: ${stderr}`)
  }
  await guestd.stop()
  t.equal(fsck(path).status, 0)
})

t.test('the lost+found of mke2fs is removed, and a lost+found with files stays', async t => {
  const empty = makeImage(t, EXACT)
  const first = await start(t, empty)
  t.equal(await listing(first), '')
  t.match(await usage(first), { bytes: 0, files: 0 })
  await first.stop()
  t.match(await offline(empty), { bytes: 0, files: 0 })

  const found = makeImage(t, EXACT)
  const file = join(makeScratch(t), 'file')
  writeFileSync(file, Buffer.alloc(8192, 1))
  run('debugfs', '-w', '-R', `write ${file} lost+found/#12`, found)
  t.match(await offline(found), { bytes: 8192, files: 1 })
  const second = await start(t, found)
  t.equal(await listing(second), 'lost+found\n')
  t.match(await usage(second), { bytes: 8192, files: 1 })
  await runCommand(second, { command: 'mv lost+found .lf; ln -s lost+found lost+found' })
  await second.kill()
  await second.start()
  t.match(await usage(second), { bytes: 8192, files: 2 }, 'it is found by its inode')
  await second.stop()
  t.match(await offline(found), { bytes: 8192, files: 2 })
})

t.test(
  'the lost+found that e2fsck makes again is removed again, and the cap stays exact',
  async t => {
    const path = await makeVolume(t)
    run('sh', '-c', `e2fsck -f -p ${path} || test $? = 1`)
    t.match(run('debugfs', '-R', 'ls /', path), 'lost+found', 'e2fsck has made it')
    const guestd = await start(t, path)
    t.equal(await listing(guestd), '')
    t.same(await usage(guestd), { bytes: 0, files: 0, cap: SIZE })
    await guestd.stop()
    for (const repair of ['--repair', '--repair=full']) {
      t.equal((await guestctl(['volume', 'check', path, repair])).code, 0)
      t.notMatch(run('debugfs', '-R', 'ls /', path), 'lost+found', repair)
      t.same(await offline(path), { bytes: 0, files: 0, cap: SIZE })
    }
  },
)

t.test('a folder of a user is neither removed nor taken for it', async t => {
  for (const user of ['nobody', 'root']) {
    const path = await makeVolume(t)
    const guestd = await start(t, path)
    await runCommand(guestd, { command: 'mkdir -m 700 lost+found', user, cwd: '.' })
    const one = { bytes: 4096, files: 1, cap: SIZE }
    t.same(await usage(guestd), one, user)
    await guestd.stop()
    t.same(await offline(path), one, user)
    await guestd.start()
    t.equal(await listing(guestd), 'lost+found\n')
    t.same(await usage(guestd), one, user)
    await guestd.stop()
    for (const repair of ['--repair', '--repair=full']) {
      t.equal((await guestctl(['volume', 'check', path, repair])).code, 0)
      t.match(run('debugfs', '-R', 'ls /', path), 'lost+found', `${repair}, ${user}`)
      t.same(await offline(path), one, `${repair}, ${user}`)
    }
  }
})
