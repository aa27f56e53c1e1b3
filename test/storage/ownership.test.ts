/** Whose a volume is stays known, or no session gets it: marks that are lost, and file systems that grow over theirs. */
import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MARK_AREA_BYTES, SLOT_BYTES } from '../../src/volume/mark.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { markOffset, readMark } from '../helpers/mark.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf } from '../helpers/session.ts'
import { attach, fsck, makeImage, makeMountPoint, mountOptions } from '../helpers/volume.ts'

const SUPERBLOCK = 1024

type Test = Parameters<typeof makeScratch>[0]

const put = (guestd: Guestd, id: string) => guestd.request('PUT', '/v1/session', { body: { id } })

function overwrite(path: string, offset: number, bytes: Buffer): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, offset)
  closeSync(fd)
}

/**
 * As resize2fs(8) does it, which takes CAP_SYS_RESOURCE: the kernel works with the superblock in the page cache of the
 * device, and writes it out with a checksum of its own.
 */
function resize(device: string, bytes: number): void {
  const blocks = Buffer.alloc(4)
  const fd = openSync(device, 'r')
  readSync(fd, blocks, 0, 4, SUPERBLOCK + 0x18)
  closeSync(fd)
  const blockBytes = 1024 << blocks.readUInt32LE()
  blocks.writeUInt32LE(bytes / blockBytes)
  overwrite(device, SUPERBLOCK + 0x04, blocks)
}

/** A volume of the session s-1, with a file. */
async function makeUsed(t: Tap): Promise<string> {
  const image = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', image, '--size', '16MiB'])
  const guestd = await onSession(t, image)
  t.equal((await put(guestd, 's-1')).status, 200)
  await runCommand(guestd, { command: 'echo secret > file' })
  await guestd.stop()
  return image
}

type Tap = Test & { equal(found: unknown, wanted: unknown): unknown }

async function onSession(t: Tap, workspace: string): Promise<Guestd> {
  const config = { workspace, workspaceMount: makeMountPoint(t), requireSession: true }
  return await startGuestd(t, { config })
}

const losses: Record<string, (image: string) => void> = {
  'both slots are zeros': image =>
    overwrite(image, markOffset(image), Buffer.alloc(2 * SLOT_BYTES)),
  'both slots are corrupt': image => {
    for (const slot of [0, 1])
      overwrite(image, markOffset(image) + slot * SLOT_BYTES + 100, Buffer.alloc(16, 0xff))
  },
  'the file is 4 KiB short': image => truncateSync(image, statSync(image).size - 4096),
  'the file is 1 MiB short': image => truncateSync(image, statSync(image).size - MARK_AREA_BYTES),
}

for (const [what, lose] of Object.entries(losses)) {
  t.test(`a used volume is no other session's where ${what}`, async t => {
    const image = await makeUsed(t)
    lose(image)
    const before = readFileSync(image)
    const guestd = await onSession(t, image)
    await put(guestd, 's-2')
    const { ok, reason } = (await infoOf(guestd)).workspace
    t.equal(ok, false)
    t.match(reason, /so it is not known whose it is; 'guestctl volume adopt FILE --session ID'/)
    t.equal((await guestd.request('POST', '/v1/commands', { body: { command: 'ls' } })).status, 503)
    t.ok(readFileSync(image).equals(before), 'not a byte of it changes')
    await guestd.stop()

    const adopted = await guestctl(['volume', 'adopt', image, '--session', 's-1', '--json'])
    t.equal(adopted.code, 0, adopted.err)
    t.equal(readMark(image).sessionId, 's-1')
    const other = await onSession(t, image)
    t.equal((await put(other, 's-2')).json().code, 'session_mismatch')
    t.equal((await put(other, 's-1')).status, 200)
    t.equal((await runCommand(other, { command: 'cat file' })).stdout, 'secret\n')
    t.equal(await other.stop(), 0)
    t.equal(fsck(image).status, 0)
  })
}

t.test('adopt takes no volume that has an owner, or is none', async t => {
  const image = await makeUsed(t)
  const before = readFileSync(image)
  const owned = await guestctl(['volume', 'adopt', image, '--session', 's-2'])
  t.same([owned.code, /belongs to the session s-1/.test(owned.err)], [125, true])
  t.ok(readFileSync(image).equals(before))
  const unnamed = await guestctl(['volume', 'adopt', image])
  t.match(unnamed.err, 'say whose it is: --session ID')
  truncateSync(image, 8 * 1024 * 1024)
  const cut = await guestctl(['volume', 'adopt', image, '--session', 's-2'])
  t.same([cut.code, /has been cut off/.test(cut.err)], [125, true])
})

t.test(
  'a file system that grew over its mark keeps its files, and is not called clean',
  async t => {
    const image = makeImage(t, { mark: true })
    const end = markOffset(image)
    const device = attach(t, image)
    const at = makeMountPoint(t)
    const config = { workspace: device, workspaceMount: at }
    const guestd = await startGuestd(t, { config })
    resize(device, end + MARK_AREA_BYTES)
    const words = `its file system was resized while it was in use, from ${end} to`
    await until(async () => (await infoOf(guestd)).workspace.ok === false)
    t.match((await infoOf(guestd)).workspace.reason, words.replace(/ from .*/, ''))
    t.equal((await guestd.request('GET', '/readyz')).status, 503)
    overwrite(image, end, Buffer.from('mine\n'.repeat(20_000)))
    const area = () => readFileSync(image).subarray(end)
    const before = area()
    t.equal(await guestd.stop(), 1)
    t.ok(area().equals(before), 'no mark is written over it')
    t.equal(mountOptions(at), null)
    const line = guestd
      .log()
      .split('\n')
      .find(one => one.includes('the session is stopped'))
    const { clean, errors } = JSON.parse(line ?? '{}')
    t.equal(clean, false)
    t.match(errors[0], `verify: ${device}: ${words}`)
    t.match(errors[1], /^mark: resize: .* \(ESTALE\)$/)
  },
)
