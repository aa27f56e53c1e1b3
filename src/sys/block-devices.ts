/** The block devices of this machine, from /sys/class/block. It does not need udev. */
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
  /** Devices on top of it, such as `dm-0`. */
  readonly holders: readonly string[]
  /** The file of a loop device. */
  readonly backingFile: string | null
}

const BLOCK = '/sys/class/block'
/** The unit of `size`, for any block size of the device (Documentation/ABI/stable/sysfs-block). */
const SECTOR_BYTES = 512

/** All devices with a size. Loop devices that are not set up have none; RAM disks are left out. */
export function listBlockDevices(): readonly BlockDevice[] {
  if (!existsSync(BLOCK)) return []
  return readdirSync(BLOCK)
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .filter(name => !name.startsWith('ram'))
    .map(readDevice)
    .filter(device => device.bytes > 0)
}

/** The device of a path; `null` when it is not a block device, or has no size. */
export function findBlockDevice(path: string): BlockDevice | null {
  const number = deviceNumber(path)
  return listBlockDevices().find(device => device.number === number) ?? null
}

/** `MAJOR:MINOR` of a device file; `null` when it is not a block device. */
export function deviceNumber(path: string): string | null {
  const stats = statSync(path, { throwIfNoEntry: false, bigint: true })
  return stats?.isBlockDevice() ? numberOf(stats.rdev) : null
}

/** `MAJOR:MINOR` of an `rdev` or `dev` of stat(2), as makedev(3) packs them. */
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
    // sysfs replaces a slash in the name by "!".
    path: `/dev/${name.replaceAll('!', '/')}`,
    number: read('dev') ?? '',
    bytes: Number(read('size') ?? 0) * SECTOR_BYTES,
    readOnly: read('ro') === '1',
    holders: existsSync(holders) ? readdirSync(holders) : [],
    backingFile: read('loop/backing_file'),
  }
}

/** `null` when the device has disappeared. */
function readLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}
