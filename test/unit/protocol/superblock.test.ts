import t from 'tap'
import { contentWords, identify } from '../../../src/protocol/volume/superblock.ts'

const HEAD_BYTES = 68 * 1024

/** A head with bytes at places. */
function head(...parts: readonly (readonly [offset: number, text: string])[]): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES)
  for (const [offset, text] of parts) bytes.write(text, offset, 'latin1')
  return bytes
}

t.test('signatures are told by their names', async t => {
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

t.test('an ext4 is told by its label', async t => {
  const bytes = head([1024 + 0x38, '\x53\xef\x01'], [1024 + 0x5c, '\x04'], [1024 + 0x78, 'work'])
  bytes.writeUInt32LE(8192, 1024 + 0x04)
  bytes.writeUInt32LE(2, 1024 + 0x18)
  const content = identify(bytes)
  t.match(content, { kind: 'ext4', label: 'work', clean: true, hasErrors: false })
  t.equal(content.kind === 'ext4' && content.bytes, 32 * 1024 * 1024)
  t.equal(contentWords(content), 'ext4 labelled work')
})
