/** The block devices of this machine, as /sys/class/block has them; no udev is needed. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface BlockDevice {
  /** Such as `vdb` or `vdb1`. */
  readonly name: string
  /** Such as `/dev/vdb1`. */
  readonly path: string
  /** `MAJOR:MINOR` */
  readonly number: string
  readonly bytes: number
  readonly readOnly: boolean
  /** Devices that are made of it, such as `dm-0`. */
  readonly holders: readonly string[]
  /** The file that a loop device shows. */
  readonly backingFile: string | null
}

const BLOCK = '/sys/class/block'
/** The unit of `size`, whatever the device's own blocks are (Documentation/ABI/stable/sysfs-block). */
const SECTOR_BYTES = 512

/** All that hold something: loop and RAM devices that nobody set up have no bytes. */
export function listBlockDevices(): readonly BlockDevice[] {
  if (!existsSync(BLOCK)) return []
  return readdirSync(BLOCK)
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .filter(name => !name.startsWith('ram'))
    .map(readDevice)
    .filter(device => device.bytes > 0)
}

/** The device that a path leads to; `null` when it is none, or has no bytes. */
export function findBlockDevice(path: string): BlockDevice | null {
  const number = deviceNumber(path)
  return listBlockDevices().find(device => device.number === number) ?? null
}

/** `MAJOR:MINOR` of a device file, as makedev(3) packs them; `null` when it is none. */
export function deviceNumber(path: string): string | null {
  const stats = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stats?.isBlockDevice() ? numberOf(stats.rdev) : null
}

/** For `rdev` and `dev` of stat(2). */
export function numberOf(packed: bigint): string {
  const major = ((packed >> 8n) & 0xfffn) | ((packed >> 32n) & ~0xfffn)
  const minor = (packed & 0xffn) | ((packed >> 12n) & ~0xffn)
  return `${major}:${minor}`
}

function readDevice(name: string): BlockDevice {
  const folder = join(BLOCK, name)
  const read = (file: string) => readLine(join(folder, file))
  const holders = join(folder, 'holders')
  return {
    name,
    // In sysfs a slash of the name is written as "!".
    path: `/dev/${name.replaceAll('!', '/')}`,
    number: read('dev') ?? '',
    bytes: Number(read('size') ?? 0) * SECTOR_BYTES,
    readOnly: read('ro') === '1',
    holders: existsSync(holders) ? readdirSync(holders) : [],
    backingFile: read('loop/backing_file'),
  }
}

/** A device may go while it is looked at. */
function readLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}
