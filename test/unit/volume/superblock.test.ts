import t from 'tap'
import { contentWords, identify, needsTail, TAIL_BYTES } from '../../../src/volume/content.ts'
import { crc32c } from '../../../src/volume/crc32c.ts'
import { encodeMark } from '../../../src/volume/mark.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'

const HEAD_BYTES = 68 * 1024

/** A head with bytes at places. */
function head(...parts: readonly (readonly [offset: number, text: string])[]): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES)
  for (const [offset, text] of parts) bytes.write(text, offset, 'latin1')
  return bytes
}

t.test('each signature has its name', async t => {
  const known: readonly [name: string, offset: number, text: string][] = [
    ['squashfs', 0, 'hsqs'],
    ['XFS', 0, 'XFSB'],
    ['btrfs', 65_600, '_BHRfS_M'],
    ['swap', 4086, 'SWAPSPACE2'],
    ['LUKS', 0, 'LUKS\xba\xbe'],
    ['ISO 9660', 32_769, 'CD001'],
    ['a partition table', 510, '\x55\xaa'],
  ]
  for (const [name, offset, text] of known)
    t.same(identify(head([offset, text])), { kind: 'other', name })
})

t.test('only zeros are blank, and one other byte is not', async t => {
  t.same(identify(head()), { kind: 'blank' })
  t.same(identify(head([HEAD_BYTES - 1, 'x'])), { kind: 'unknown' })
  t.same(identify(Buffer.alloc(0)), { kind: 'blank' })
})

t.test('a superblock that is cut off is not read past its end', async t => {
  const bytes = head([1024 + 0x38, '\x53\xef'])
  t.same(identify(bytes.subarray(0, 1500)), { kind: 'unknown' })
  t.same(identify(bytes.subarray(0, 512)), { kind: 'blank' })
})

t.test('an ext4 is described with its label', async t => {
  const bytes = head([1024 + 0x38, '\x53\xef\x01'], [1024 + 0x5c, '\x04'], [1024 + 0x78, 'work'])
  bytes.writeUInt32LE(8192, 1024 + 0x04)
  bytes.writeUInt32LE(2, 1024 + 0x18)
  const content = identify(bytes)
  t.match(content, { kind: 'ext4', label: 'work', clean: true, hasErrors: false })
  t.equal(content.kind === 'ext4' && content.bytes, 32 * 1024 * 1024)
  t.equal(contentWords(content), 'ext4 labelled work')
})

/** The end of a device of 64 MiB, with bytes at places of it. */
function tail(...parts: readonly (readonly [offset: number, bytes: Buffer])[]) {
  const bytes = Buffer.alloc(TAIL_BYTES)
  for (const [offset, part] of parts) part.copy(bytes, offset)
  return { bytes, offset: 64 * 1024 * 1024 - TAIL_BYTES }
}

const MARK = {
  sequence: 1,
  sessionId: 'one',
  runtimeVersion: null,
  generation: 1,
  state: 'clean',
  at: '2026-01-01T00:00:00.000Z',
  receipt: null,
} as const

t.test('what ends with the device is no blank one', async t => {
  t.same(identify(head(), tail()), { kind: 'blank' })
  t.same(identify(head(), tail([TAIL_BYTES - 1, Buffer.from('x')])), { kind: 'unknown' })
  const raid = Buffer.from('fc4e2ba9', 'hex')
  const known: readonly [name: string, offset: number, bytes: Buffer][] = [
    ['a partition table', TAIL_BYTES - 512, Buffer.from('EFI PART')],
    ['a partition table', TAIL_BYTES - 4096, Buffer.from('EFI PART')],
    ['software RAID', TAIL_BYTES - 8192, raid],
    ['software RAID', TAIL_BYTES - 65_536, raid],
  ]
  for (const [name, offset, bytes] of known) {
    const content = identify(head(), tail([offset, bytes]))
    t.same(content, { kind: 'other', name: `${name} (at its end)` })
    t.notOk(needsTail(content))
  }
})

t.test('a mark at the end shows that there was a volume', async t => {
  for (const offset of [0, 1024, 4096]) {
    const content = identify(head([5, 'x']), tail([offset, encodeMark(MARK)]))
    t.match(content, { kind: 'damaged', hasSuperblock: false, mark: MARK })
    t.match(content, { markOffset: 63 * 1024 * 1024 + offset })
    t.match(contentWords(content), /a volume of the session one without a superblock/)
  }
  t.match(identify(head([0, 'XFSB']), tail([0, encodeMark(MARK)])), { kind: 'other', name: 'XFS' })
})

t.test('a superblock that says what cannot be is broken', async t => {
  const bytes = head([1024 + 0x38, '\x53\xef\x01'], [1024 + 0x5c, '\x04'])
  bytes.writeUInt32LE(8192, 1024 + 0x04)
  t.match(identify(bytes), { kind: 'ext4' })
  const huge = Buffer.from(bytes)
  huge.writeUInt32LE(31, 1024 + 0x18)
  matchExactly(t, identify(huge), { kind: 'damaged', hasSuperblock: true, mark: null })
  // With metadata_csum its checksum counts.
  bytes.writeUInt32LE(0x400, 1024 + 0x64)
  t.match(contentWords(identify(bytes)), /an ext4 with a broken superblock/)
  bytes.writeUInt32LE(~crc32c(bytes.subarray(1024, 1024 + 0x3fc)) >>> 0, 1024 + 0x3fc)
  t.match(identify(bytes), { kind: 'ext4' })
})
