/**
 * The ELF kernel inside a bzImage: what Firecracker boots, and what every VMM with PVH can boot
 * without the kernel unpacking itself.
 * Source of the layout: `Documentation/arch/x86/boot.rst` in Linux, "The Real-Mode Kernel Header".
 */

import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { execa } from 'execa'
import { VmError } from './vm-error.ts'

/** Offsets of fields in a bzImage. */
const SETUP_SECTS = 0x1f1
const HEADER_MAGIC = 0x202
const PAYLOAD_OFFSET = 0x248
const PAYLOAD_LENGTH = 0x24c
/** A `setup_sects` of 0 means 4, and one more sector, the boot sector, comes before them. */
const DEFAULT_SETUP_SECTS = 4
const SECTOR_BYTES = 512
/** The payload ends with the size of what is packed in it, which is no part of the archive. */
const SIZE_BYTES = 4
/** A kernel of Debian's has 53 MB. */
const MAX_KERNEL_BYTES = 256 * 1024 * 1024
const ELF_MAGIC = Buffer.from('7f454c46', 'hex')

/** How a payload begins, by what it is packed with (`scripts/extract-vmlinux` in Linux). */
const UNPACKERS: readonly [magic: string, unpack: (packed: Buffer) => Buffer | Promise<Buffer>][] =
  [
    ['1f8b08', packed => gunzipSync(packed, { maxOutputLength: MAX_KERNEL_BYTES })],
    ['28b52ffd', packed => zstdDecompressSync(packed, { maxOutputLength: MAX_KERNEL_BYTES })],
    ['02214c18', packed => unpackWith('lz4', packed)],
    ['fd377a585a00', packed => unpackWith('xz', packed)],
    ['7f454c46', packed => packed],
  ]

/**
 * @param kernel a bzImage, or an ELF kernel, which comes back as it is
 * @throws VmError if it is neither, or is packed in a way that is not known
 */
export async function extractVmlinux(kernel: Buffer): Promise<Buffer> {
  if (isElf(kernel)) return kernel
  if (kernel.toString('latin1', HEADER_MAGIC, HEADER_MAGIC + 4) !== 'HdrS') {
    throw new VmError('the kernel is neither a bzImage nor an ELF file')
  }
  const sectors = (kernel[SETUP_SECTS] || DEFAULT_SETUP_SECTS) + 1
  const start = sectors * SECTOR_BYTES + kernel.readUInt32LE(PAYLOAD_OFFSET)
  const end = start + kernel.readUInt32LE(PAYLOAD_LENGTH)
  const packed = kernel.subarray(start, end - SIZE_BYTES)
  const unpacker = UNPACKERS.find(
    ([magic]) => packed.toString('hex', 0, magic.length / 2) === magic,
  )
  if (unpacker === undefined) {
    throw new VmError(`the kernel is packed in an unknown way: ${packed.toString('hex', 0, 6)}`)
  }
  const elf = await unpacker[1](packed)
  if (!isElf(elf)) throw new VmError('what is packed in the kernel is not an ELF file')
  return elf
}

function isElf(bytes: Buffer): boolean {
  return bytes.subarray(0, ELF_MAGIC.length).equals(ELF_MAGIC)
}

async function unpackWith(program: 'lz4' | 'xz', packed: Buffer): Promise<Buffer> {
  const { stdout } = await execa(program, ['--decompress', '--stdout'], {
    input: packed,
    encoding: 'buffer',
    maxBuffer: MAX_KERNEL_BYTES,
  })
  return Buffer.from(stdout)
}
