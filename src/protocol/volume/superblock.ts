/** What is on a device, by the signatures in its first 68 KiB. Pure. */

/** What `identify` looks at. */
export const HEAD_BYTES = 68 * 1024

export type Content =
  | Ext4
  /** Anything else that has a signature: nothing of ours to write to. */
  | { readonly kind: 'other'; readonly name: string }
  /** Nothing but zeros. */
  | { readonly kind: 'blank' }
  | { readonly kind: 'unknown' }

export interface Ext4 {
  readonly kind: 'ext4'
  readonly label: string
  readonly uuid: string
  /** Of the file system: the device has at least as many. */
  readonly bytes: number
  readonly blockBytes: number
  /** As of the last unmount or flush of the superblock. */
  readonly freeBlocks: number
  /** Kept for root. */
  readonly reservedBlocks: number
  /** Unmounted as it should be: the journal has nothing to replay. */
  readonly clean: boolean
  /** The kernel has found it broken. */
  readonly hasErrors: boolean
}

/** Reads the content from a device's head: at least its first 68 KiB, or all of a smaller one. */
export function identify(head: Buffer): Content {
  const ext4 = readExt4(head)
  if (ext4 !== null) return ext4
  const other = signatures.find(([, offset, bytes]) =>
    head.subarray(offset, offset + bytes.length).equals(bytes),
  )
  if (other !== undefined) return { kind: 'other', name: other[0] }
  return head.every(byte => byte === 0) ? { kind: 'blank' } : { kind: 'unknown' }
}

/** For people, so that "/dev/vdb is …" and "… is on it" are phrases. */
export function contentWords(content: Content): string {
  if (content.kind === 'blank') return 'blank (its first 68 KiB are zeros)'
  if (content.kind === 'unknown') return 'nothing that guestd knows'
  if (content.kind === 'other') return content.name
  return content.label === '' ? 'ext4 without a label' : `ext4 labelled ${content.label}`
}

/**
 * What a user may write, in bytes: free blocks less those for root and those that the kernel keeps back
 * for itself (ext4_set_resv_clusters: 2 %, at most 4,096). On an unmounted one it is what statfs(2) gives
 * once it is mounted.
 */
export function availableBytes({ bytes, blockBytes, freeBlocks, reservedBlocks }: Ext4): number {
  const kept = Math.min(Math.floor(bytes / blockBytes / KEPT_DIVISOR), MAX_KEPT_BLOCKS)
  return Math.max(0, freeBlocks - reservedBlocks - kept) * blockBytes
}

const KEPT_DIVISOR = 50
const MAX_KEPT_BLOCKS = 4096

/** The superblock begins here, and has this size (Documentation/filesystems/ext4/super.rst). */
const SUPERBLOCK = 1024
const SUPERBLOCK_BYTES = 1024
const MAGIC = 0xef53
const MIN_BLOCK_BYTES = 1024
const STATE_CLEAN = 0x1
const STATE_ERRORS = 0x2
const COMPAT_JOURNAL = 0x4
const INCOMPAT_RECOVER = 0x4
const INCOMPAT_64BIT = 0x80
const UUID = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/

function readExt4(head: Buffer): Content | null {
  const block = head.subarray(SUPERBLOCK, SUPERBLOCK + SUPERBLOCK_BYTES)
  if (block.length < SUPERBLOCK_BYTES || block.readUInt16LE(0x38) !== MAGIC) return null
  // Without a journal a power cut may leave anything.
  if ((block.readUInt32LE(0x5c) & COMPAT_JOURNAL) === 0)
    return { kind: 'other', name: 'ext2, or ext4 without a journal' }
  const incompatible = block.readUInt32LE(0x60)
  const wide = (incompatible & INCOMPAT_64BIT) !== 0
  const read = (low: number, high: number) =>
    (wide ? block.readUInt32LE(high) * 2 ** 32 : 0) + block.readUInt32LE(low)
  const blockBytes = MIN_BLOCK_BYTES * 2 ** block.readUInt32LE(0x18)
  const state = block.readUInt16LE(0x3a)
  return {
    kind: 'ext4',
    label: text(block.subarray(0x78, 0x88)),
    uuid: block.toString('hex', 0x68, 0x78).replace(UUID, '$1-$2-$3-$4-$5'),
    bytes: read(0x04, 0x150) * blockBytes,
    blockBytes,
    freeBlocks: read(0x0c, 0x158),
    reservedBlocks: read(0x08, 0x154),
    clean: (state & STATE_CLEAN) !== 0 && (incompatible & INCOMPAT_RECOVER) === 0,
    hasErrors: (state & STATE_ERRORS) !== 0,
  }
}

function text(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

/** Name, offset, bytes: as wipefs(8) and file(1) know them. Partition tables come last. */
const signatures: readonly (readonly [name: string, offset: number, bytes: Buffer])[] = [
  ['squashfs', 0, Buffer.from('hsqs')],
  ['XFS', 0, Buffer.from('XFSB')],
  ['btrfs', 0x10040, Buffer.from('_BHRfS_M')],
  ['swap', 4086, Buffer.from('SWAPSPACE2')],
  ['LUKS', 0, Buffer.from('LUKS\xba\xbe', 'latin1')],
  ['LVM', 536, Buffer.from('LVM2 001')],
  ['software RAID', 0x1000, Buffer.from('fc4e2ba9', 'hex')],
  ['software RAID', 0, Buffer.from('fc4e2ba9', 'hex')],
  ['EROFS', 1024, Buffer.from('e2e1f5e0', 'hex')],
  ['F2FS', 1024, Buffer.from('1020f5f2', 'hex')],
  ['ISO 9660', 0x8001, Buffer.from('CD001')],
  ['NTFS', 3, Buffer.from('NTFS    ')],
  ['FAT', 54, Buffer.from('FAT')],
  ['FAT', 82, Buffer.from('FAT32')],
  ['a partition table', 512, Buffer.from('EFI PART')],
  ['a partition table', 510, Buffer.from('55aa', 'hex')],
]
