/** A log of writes, byte by byte as the kernel's documentation has it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeScratch } from '../../helpers/scratch.ts'

export const SECTOR = 512

export interface Written {
  readonly sector?: number
  readonly flags?: number
  readonly data?: Buffer
  /** Of a discard. */
  readonly sectors?: number
}

const MAGIC = 0x6a736677736872n
const MARK = 8

export function makeLog(t: Parameters<typeof makeScratch>[0], entries: readonly Written[]): string {
  const superblock = Buffer.alloc(SECTOR)
  superblock.writeBigUInt64LE(MAGIC, 0)
  superblock.writeBigUInt64LE(1n, 8)
  superblock.writeBigUInt64LE(BigInt(entries.length), 16)
  superblock.writeUInt32LE(SECTOR, 24)
  const parts: Buffer[] = [superblock]
  for (const { sector = 0, flags = 0, data = Buffer.alloc(0), sectors } of entries) {
    const header = Buffer.alloc(SECTOR)
    const isMark = flags === MARK
    header.writeBigUInt64LE(BigInt(sector), 0)
    header.writeBigUInt64LE(BigInt(sectors ?? (isMark ? 0 : data.length / SECTOR)), 8)
    header.writeBigUInt64LE(BigInt(flags), 16)
    header.writeBigUInt64LE(BigInt(isMark ? data.length : 0), 24)
    const padding = Buffer.alloc((SECTOR - (data.length % SECTOR)) % SECTOR)
    parts.push(header, data, padding)
  }
  const path = join(makeScratch(t), 'log')
  writeFileSync(path, Buffer.concat(parts))
  return path
}
