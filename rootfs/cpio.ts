/**
 * Writes a cpio archive in the "newc" format, which the kernel unpacks as (part of) an initramfs.
 * Source of the layout: `Documentation/driver-api/early-userspace/buffer-format.rst` in Linux.
 */

export interface CpioEntry {
  /** Without a leading slash; a folder comes before what is in it. */
  path: string
  /** File type and permissions, as in `st_mode`. */
  mode: number
  content: Buffer
}

const HEADER_BYTES = 110
/** Names and contents begin and end at multiples of this. */
const ALIGNMENT = 4
const TRAILER: CpioEntry = { path: 'TRAILER!!!', mode: 0, content: Buffer.alloc(0) }

/** The archive; every file in it belongs to root. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  return Buffer.concat([...entries, TRAILER].map((entry, index) => record(entry, index + 1)))
}

/** Zeros between two archives of one initramfs: each has to begin at an aligned offset. */
export function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT)])
}

function record({ path, mode, content }: CpioEntry, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`)
  const [uid, gid, links, time, device] = [0, 0, 1, 0, 0]
  const fields = [
    ...[inode, mode, uid, gid, links, time, content.length],
    ...[device, device, device, device, name.length, 0],
  ]
  const header = `070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}`
  if (header.length !== HEADER_BYTES) throw new RangeError(`a field of ${path} is over 32 bits`)
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(content)])
}
