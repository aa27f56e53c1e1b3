/** Machines that go on from a saved one: each has devices and a workspace of its own. */

import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { ensureImage } from '../../rootfs/image.ts'
import { makeDisk } from '../../rootfs/tools.ts'
import { isWholeGuest, savedGuestKey, writeSums } from '../../vm/saved-guest.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { asRoot, mountDisk, openClient, run } from './ask.ts'
import { restoreGuest } from './harness.ts'

t.test('two machines from one save have workspaces of their own, and disks plugged in', async t => {
  const folder = path.join(makeScratch(t), 'content')
  mkdirSync(folder)
  writeFileSync(path.join(folder, 'file'), 'from the disk\n')
  const disk = `${folder}.ext4`
  await makeDisk(folder, disk, '8M')
  const [one, two] = [
    await restoreGuest(t, { extraDisks: [{ file: disk, serial: 'extra', mode: 'ro' }] }),
    await restoreGuest(t),
  ]
  const [first, second] = [openClient(t, one), openClient(t, two)]
  await mountDisk(first, 'extra', '/mnt/extra')
  t.equal(await asRoot(first, 'cat /mnt/extra/file'), 'from the disk\n')
  t.equal(
    await asRoot(second, 'ls /sys/block | grep -c ^vd'),
    '2\n',
    'the other one has no such disk',
  )

  t.equal((await run(first, { command: 'echo first >file; sync; cat file' })).out, 'first\n')
  t.equal(
    (await run(second, { command: 'test ! -e file; echo $?; echo second >file; sync; cat file' }))
      .out,
    '0\nsecond\n',
  )
  t.equal((await run(first, { command: 'cat file' })).out, 'first\n')
  for (const client of [first, second]) {
    const session = await client.session()
    matchExactly(t, session, {
      state: 'ready',
      generation: 1,
      resumed: false,
      workspace: { ok: true },
    })
    t.match(await client.flush(), { clean: true })
  }
})

t.test('a saved machine whose files are cut, damaged or missing is not used', async t => {
  const folder = makeScratch(t)
  const [state, archive] = ['state', 'volume.tar'].map(name => path.join(folder, name))
  if (state === undefined || archive === undefined) throw new Error('no files')
  t.equal(await isWholeGuest(folder), false, 'of an empty folder')
  const reset = () => {
    writeFileSync(state, 'x'.repeat(1_000_000))
    writeFileSync(archive, 'an archive')
  }
  reset()
  t.equal(await isWholeGuest(folder), false, 'without checksums')
  await writeSums(folder)
  t.equal(await isWholeGuest(folder), true)
  truncateSync(state, 999_999)
  t.equal(await isWholeGuest(folder), false, 'cut')
  reset()
  t.equal(await isWholeGuest(folder), true)
  const bytes = readFileSync(archive)
  bytes[3] = (bytes[3] ?? 0) ^ 1
  writeFileSync(archive, bytes)
  t.equal(await isWholeGuest(folder), false, 'one bit is another')
})

t.test('another image, another size or another workspace is another saved machine', async t => {
  const image = await ensureImage()
  const shape = { image, memoryMiB: 1024, cpus: 2 }
  const other = path.join(makeScratch(t), 'manifest.json')
  writeFileSync(other, `${readFileSync(image.manifest, 'utf8')} `)
  const keys = await Promise.all([
    savedGuestKey(shape, '/cache/volume-1/file'),
    savedGuestKey({ ...shape, memoryMiB: 512 }, '/cache/volume-1/file'),
    savedGuestKey({ ...shape, cpus: 1 }, '/cache/volume-1/file'),
    savedGuestKey({ ...shape, image: { ...image, manifest: other } }, '/cache/volume-1/file'),
    savedGuestKey(shape, '/cache/volume-2/file'),
  ])
  t.equal(new Set(keys).size, keys.length)
  const elsewhere = { ...image, root: '/elsewhere/root', elfKernel: '/elsewhere/vmlinux' }
  const same = await savedGuestKey({ ...shape, image: elsewhere }, '/cache2/volume-1/file')
  t.equal(same, keys[0], 'the paths do not matter')
})
