/** Signatures of other file systems and of partition tables, at the beginning and the end of a device. Pure. */

/** A name for people, or `null`. The signatures are those of wipefs(8) and file(1); partition tables come last. */
export function findAtBegin(head: Buffer): string | null {
  return find(head, atBegin)
}

/** Finds what is stored relative to the end: the second copy of a partition table, the superblock of a RAID. */
export function findAtEnd(tail: Buffer): string | null {
  const fromEnd = atEnd.map(([name, back, bytes]) => [name, tail.length - back, bytes] as const)
  if (find(tail, fromEnd) !== null) return find(tail, fromEnd)
  // Versions 0.90 and 1.0 are at different offsets, each a multiple of 4 KiB (md(4)).
  for (let at = tail.length % RAID_ALIGNMENT; at < tail.length; at += RAID_ALIGNMENT)
    if (tail.subarray(at, at + RAID.length).equals(RAID)) return 'software RAID'
  return null
}

type Signature = readonly [name: string, offset: number, bytes: Buffer]

function find(bytes: Buffer, signatures: readonly Signature[]): string | null {
  const found = signatures.find(
    ([, offset, text]) => offset >= 0 && bytes.subarray(offset, offset + text.length).equals(text),
  )
  return found?.[0] ?? null
}

const RAID = Buffer.from('fc4e2ba9', 'hex')
const RAID_ALIGNMENT = 4096

const atBegin: readonly Signature[] = [
  ['squashfs', 0, Buffer.from('hsqs')],
  ['XFS', 0, Buffer.from('XFSB')],
  ['btrfs', 0x10040, Buffer.from('_BHRfS_M')],
  ['swap', 4086, Buffer.from('SWAPSPACE2')],
  ['LUKS', 0, Buffer.from('LUKS\xba\xbe', 'latin1')],
  ['LVM', 536, Buffer.from('LVM2 001')],
  ['software RAID', 0x1000, RAID],
  ['software RAID', 0, RAID],
  ['EROFS', 1024, Buffer.from('e2e1f5e0', 'hex')],
  ['F2FS', 1024, Buffer.from('1020f5f2', 'hex')],
  ['ISO 9660', 0x8001, Buffer.from('CD001')],
  ['NTFS', 3, Buffer.from('NTFS    ')],
  ['FAT', 54, Buffer.from('FAT')],
  ['FAT', 82, Buffer.from('FAT32')],
  ['a partition table', 512, Buffer.from('EFI PART')],
  ['a partition table', 510, Buffer.from('55aa', 'hex')],
]

/** Offsets from the end: the last sector, of 512 bytes or of 4 KiB (UEFI, 5.3.1). */
const atEnd: readonly Signature[] = [
  ['a partition table', 512, Buffer.from('EFI PART')],
  ['a partition table', 4096, Buffer.from('EFI PART')],
]
