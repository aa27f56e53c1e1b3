/**
 * The file with compiled code: crc32 of the source, crc32 of the code, the code. V8 compares only the length of the
 * source, and takes damaged code as it is.
 */
import { crc32 } from 'node:zlib'

/** V8 copies code that is not aligned to 8 bytes. */
const HEADER_BYTES = 8
const CODE_AT = 4

export function toCacheFile(source: Buffer, code: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(crc32(source))
  header.writeUInt32LE(crc32(code), CODE_AT)
  return Buffer.concat([header, code])
}

/** @returns `null` when the file is damaged, or belongs to another source */
export function codeOf(file: Buffer, source: Buffer): Buffer | null {
  if (file.length < HEADER_BYTES) return null
  const code = file.subarray(HEADER_BYTES)
  if (file.readUInt32LE() !== crc32(source)) return null
  return file.readUInt32LE(CODE_AT) === crc32(code) ? code : null
}
