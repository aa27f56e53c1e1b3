import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import t from 'tap'
import { MARK_AREA_BYTES } from '../../src/volume/mark.ts'
import { run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, fsck, makeBlank, makeMountPoint, run } from '../helpers/volume.ts'
import { unavailable } from './support.ts'

const MIB = 1024 * 1024

function write(path: string, offset: number, bytes: Buffer): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, offset)
  closeSync(fd)
}

for (const kind of ['device', 'image'] as const) {
  t.test(
    `a blank ${kind} is formatted where that is configured, and kept from then on`,
    async t => {
      const image = makeBlank(t, 64)
      const workspace = kind === 'device' ? attach(t, image) : image
      const at = makeMountPoint(t)
      const config = { workspace, workspaceMount: at, formatBlank: true }
      const guestd = await startGuestd(t, { config })
      matchExactly(t, await infoOf(guestd), {
        generation: 1,
        resumed: false,
        reset: null,
        workspace: { ok: true, enforcedFor: 'everyone' },
      })
      const bytes = 64 * MIB - MARK_AREA_BYTES
      const formatted = async () =>
        (await guestd.request('GET', '/v1/events'))
          .frames()
          .filter(event => event.type === 'workspace_formatted')
      const device = (await infoOf(guestd)).workspace.device
      matchExactly(t, await formatted(), [{ device, bytes }])
      t.match(guestd.log(), '"msg":"the workspace was blank, and has been formatted"')
      await runCommand(guestd, { command: 'echo kept > file' })
      t.equal(await guestd.stop(), 0)
      t.equal(fsck(image).status, 0, fsck(image).text)
      t.equal(run('e2label', image).trim(), 'guestd-workspace')
      const shown = run('dumpe2fs', '-h', image)
      t.match(shown, `Block count:              ${bytes / 4096}\n`)
      t.match(shown, /Reserved block count: +0\n/)
      await guestd.start()
      t.match(await infoOf(guestd), { generation: 2, resumed: true })
      t.same(await formatted(), [])
      t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
    },
  )
}

t.test('a blank device is left alone where that is not configured', async t => {
  const image = makeBlank(t)
  const workspace = attach(t, image)
  const config = { workspace, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  t.match(await unavailable(guestd), /is blank \(its first 68 KiB and its last 1 MiB are zeros\)/)
  await guestd.stop()
  t.ok(readFileSync(image).every(byte => byte === 0))
})

/** What is on a device that is not to be formatted, at the beginning, in between, or at the end. */
const used: readonly [what: string, make: (image: string) => void, says: RegExp, mib?: number][] = [
  ['swap', image => void run('mkswap', image), /is swap/],
  [
    'a byte at its beginning',
    image => write(image, 60_000, Buffer.from('x')),
    /nothing that guestd knows/,
  ],
  [
    'a byte at its end',
    image => write(image, statSync(image).size - 1, Buffer.from('x')),
    /nothing that guestd knows/,
  ],
  [
    'the backup of a partition table',
    image => write(image, statSync(image).size - 512, Buffer.from('EFI PART')),
    /a partition table \(at its end\)/,
  ],
  [
    'the superblock of a RAID',
    image => write(image, statSync(image).size - 65_536, Buffer.from('fc4e2ba9', 'hex')),
    /software RAID \(at its end\)/,
  ],
  [
    'an ext4 that lost its head',
    image => {
      run('mke2fs', '-q', '-t', 'ext4', '-b', '4096', '-E', 'nodiscard', image)
      write(image, 0, Buffer.alloc(68 * 1024))
    },
    /is not formatted: it has a backup of an ext4 superblock/,
    160,
  ],
  [
    // UFS2 has its superblock at 256 KiB.
    'a signature that only wipefs knows',
    image => write(image, 256 * 1024 + 1372, Buffer.from('19015419', 'hex')),
    /is not formatted, because wipefs finds on it: ufs/,
  ],
]

for (const [what, make, says, mib] of used) {
  t.test(`a device with ${what} is never formatted`, async t => {
    const image = makeBlank(t, mib)
    make(image)
    const before = readFileSync(image)
    const workspace = attach(t, image)
    const config = { workspace, workspaceMount: makeMountPoint(t), formatBlank: true }
    const guestd = await startGuestd(t, { config })
    t.match(await unavailable(guestd), says)
    await guestd.stop()
    t.ok(readFileSync(image).equals(before))
  })
}

t.test('a device that is too small is not formatted', async t => {
  const image = makeBlank(t, 16)
  const workspace = attach(t, image)
  const config = { workspace, workspaceMount: makeMountPoint(t), formatBlank: true }
  const guestd = await startGuestd(t, { config })
  t.match(await unavailable(guestd), /is blank, but too small .*: 16 MiB of 17 MiB at least/)
  await guestd.stop()
  t.ok(readFileSync(image).every(byte => byte === 0))
})

t.test('no blank device is taken for one with a label', async t => {
  const image = makeBlank(t)
  attach(t, image)
  const workspace = `LABEL=none-${process.pid}`
  const config = { workspace, workspaceMount: makeMountPoint(t), formatBlank: true }
  const guestd = await startGuestd(t, { config })
  t.match(await unavailable(guestd), /no device has an ext4 labelled none-/)
  await guestd.stop()
  t.ok(readFileSync(image).every(byte => byte === 0))
})
