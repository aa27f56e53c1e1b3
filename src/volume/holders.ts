/** Who uses a volume: machines, loop devices, mounts, and whoever has it open for writing. */
import { type Stats, statSync } from 'node:fs'
import { findBlockDevice, listBlockDevices } from '../sys/block-devices.ts'
import { commandOf, findFileUsers } from '../sys/file-users.ts'
import { findHolders } from '../sys/holders.ts'
import { listMounts } from '../sys/mounts.ts'
import { asVolumeError, VolumeError } from './error.ts'

export interface VolumeHolder {
  /** `null`: no process, but a device or a mount; or one that this user cannot see. */
  readonly pid: number | null
  /** Its command line, or the device. */
  readonly command: string
  /** Such as `has its lock`. */
  readonly how: string
}

/** Another uses the volume. */
export class InUseError extends VolumeError {
  override readonly name = 'InUseError'
  readonly holders: readonly VolumeHolder[]

  constructor(path: string, holders: readonly VolumeHolder[]) {
    super(`${path} is in use: ${holderWords(holders)}`)
    this.holders = holders
  }
}

/** `qemu-system-x86_64 -m 512 … (pid 12) has its lock; /dev/loop3 shows it` */
export function holderWords(holders: readonly VolumeHolder[]): string {
  return holders
    .map(({ pid, command, how }) => `${command}${pid === null ? '' : ` (pid ${pid})`} ${how}`)
    .join('; ')
}

/**
 * Those that this user can see: processes of others only root sees. Readers are not among them.
 *
 * @param except a process of ours
 * @throws VolumeError where there is no such file
 */
export async function findVolumeHolders(
  path: string,
  except?: number,
): Promise<readonly VolumeHolder[]> {
  const stats = statOf(path)
  return stats.isBlockDevice() ? await ofDevice(path) : await ofFile(path, stats, except)
}

function statOf(path: string): Stats {
  try {
    return statSync(path)
  } catch (error) {
    throw asVolumeError(error)
  }
}

async function ofFile(
  path: string,
  stats: Stats,
  except: number | undefined,
): Promise<readonly VolumeHolder[]> {
  const users = (await findFileUsers(path)).filter(one => one.pid !== except)
  const processes = users.map(({ pid, command, locks }) => ({
    pid,
    command,
    how: locks ? 'has its lock' : 'has it open for writing',
  }))
  const loops = listBlockDevices().filter(
    ({ backingFile }) => backingFile !== null && isSame(backingFile, stats),
  )
  const shown = loops.map(({ path: command, number }) => ({
    pid: null,
    command,
    how: loopWords(number),
  }))
  const working = await Promise.all(loops.map(({ number }) => workingOn(number)))
  return [...processes, ...shown, ...working.flat()]
}

/** Who has files there, as guestd itself has; not everybody who could. */
async function workingOn(number: string): Promise<readonly VolumeHolder[]> {
  const users = (await findHolders(number)).filter(({ how }) => how !== 'mount namespace')
  return await Promise.all(
    users.map(async ({ pid, how }) => ({
      pid,
      command: await commandOf(String(pid)),
      how: `uses it (${how})`,
    })),
  )
}

function isSame(path: string, { dev, ino }: Stats): boolean {
  const other = statSync(path, { throwIfNoEntry: false })
  return other?.dev === dev && other.ino === ino
}

function loopWords(number: string): string {
  const mount = listMounts().find(one => one.device === number)
  return mount === undefined ? 'is a loop device of it' : `shows it, mounted at ${mount.at}`
}

async function ofDevice(path: string): Promise<readonly VolumeHolder[]> {
  const device = findBlockDevice(path)
  if (device === null) return []
  const mounts = listMounts()
    .filter(one => one.device === device.number)
    .map(({ at }) => ({ pid: null, command: at, how: 'is where it is mounted' }))
  const devices = device.holders.map(name => ({ pid: null, command: name, how: 'is made of it' }))
  return [...mounts, ...devices, ...(await workingOn(device.number))]
}
