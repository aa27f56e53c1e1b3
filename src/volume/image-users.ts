/** Lists who uses a volume: machines, loop devices, mounts, and processes that have it open for writing. */
import { closeSync, openSync, type Stats, statSync } from 'node:fs'
import { type BlockDevice, findBlockDevice, listBlockDevices } from '../sys/block-devices.ts'
import { commandOf, findFileUsers } from '../sys/file-users.ts'
import { O_PATH } from '../sys/foreign-fd.ts'
import { findHolders } from '../sys/holders.ts'
import { createMountIds, deviceOf } from '../sys/mount-ids.ts'
import { listMounts } from '../sys/mounts.ts'
import { asVolumeError, VolumeError } from './volume-error.ts'

export interface VolumeHolder {
  /** `null`: it is a device or a mount, or a process that this user cannot see. */
  readonly pid: number | null
  /** Its command line, or the device. */
  readonly command: string
  /** Such as `has its lock`. */
  readonly how: string
}

/** The volume is in use. */
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
 * Lists the holders that this user can see; only root sees processes of other users. Processes that only read are not
 * listed.
 *
 * @param except a pid that does not count
 * @throws VolumeError if there is no such file, or processes could not be inspected in time
 */
export async function findVolumeHolders(
  path: string,
  except?: number,
): Promise<readonly VolumeHolder[]> {
  const stats = statOf(path)
  const unseen = new Set<number>()
  const onUnseen = (pid: number) => void unseen.add(pid)
  const holders = stats.isBlockDevice()
    ? await ofDevice(path, onUnseen)
    : await ofFile(path, stats, except, onUnseen)
  if (holders.length === 0 && unseen.size > 0) throw new VolumeError(unseenWords(path, unseen))
  return holders
}

type OnUnseen = (pid: number) => void

/** A reader needs no more. */
const MAX_UNSEEN = 8

/** A process that was not inspected may use it. */
export function unseenWords(path: string, unseen: ReadonlySet<number>): string {
  const pids = [...unseen].slice(0, MAX_UNSEEN).join(', ')
  const more = unseen.size > MAX_UNSEEN ? ` and ${unseen.size - MAX_UNSEEN} more` : ''
  return `${path}: could not inspect pid ${pids}${more} in time, so whether it is in use is not known`
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
  onUnseen: OnUnseen,
): Promise<readonly VolumeHolder[]> {
  const users = (await findFileUsers(path, { onUnseen })).filter(one => one.pid !== except)
  const processes = users.map(({ pid, command, locks }) => ({
    pid,
    command,
    how: accessText(locks),
  }))
  const loops = await loopsOf(path, stats)
  const shown = loops.map(({ path: command, number }) => ({
    pid: null,
    command,
    how: loopWords(number),
  }))
  const working = await Promise.all(loops.map(({ number }) => workingOn(number, onUnseen)))
  return [...processes, ...shown, ...working.flat()]
}

/** Processes with open files on the file system of the device. */
async function workingOn(number: string, onUnseen: OnUnseen): Promise<readonly VolumeHolder[]> {
  const users = (await findHolders(number, onUnseen)).filter(
    ({ isMountNamespace }) => !isMountNamespace,
  )
  return await Promise.all(
    users.map(async ({ pid, how }) => ({
      pid,
      command: await commandOf(String(pid)),
      how: `uses it (${how})`,
    })),
  )
}

/** Loop devices of the file. Files on other file systems are not inspected: these may never answer. */
async function loopsOf(path: string, stats: Stats): Promise<readonly BlockDevice[]> {
  const loops = listBlockDevices().filter(({ backingFile }) => backingFile !== null)
  if (loops.length === 0) return []
  const own = await fileSystemOf(path)
  const mountIds = createMountIds()
  const found: BlockDevice[] = []
  for (const loop of loops) {
    const backingFile = loop.backingFile ?? ''
    const above = await mountIds.mountAbove('self', backingFile)
    if (above?.device === own && isSame(backingFile, stats)) found.push(loop)
  }
  return found
}

/** `MAJOR:MINOR` as mountinfo has it. */
async function fileSystemOf(path: string): Promise<string | null> {
  const fd = openSync(path, O_PATH)
  try {
    return await deviceOf(fd)
  } finally {
    closeSync(fd)
  }
}

/** How a process has the file open. */
export function accessText(locks: boolean): string {
  return locks ? 'has its lock' : 'has it open for writing'
}

function isSame(path: string, { dev, ino }: Stats): boolean {
  const other = statSync(path, { throwIfNoEntry: false })
  return other?.dev === dev && other.ino === ino
}

function loopWords(number: string): string {
  const mount = listMounts().find(one => one.device === number)
  return mount === undefined ? 'is a loop device of it' : `shows it, mounted at ${mount.at}`
}

async function ofDevice(path: string, onUnseen: OnUnseen): Promise<readonly VolumeHolder[]> {
  const device = findBlockDevice(path)
  if (device === null) return []
  const mounts = listMounts()
    .filter(one => one.device === device.number)
    .map(({ at }) => ({ pid: null, command: at, how: 'is where it is mounted' }))
  const devices = device.holders.map(name => ({ pid: null, command: name, how: 'is made of it' }))
  return [...mounts, ...devices, ...(await workingOn(device.number, onUnseen))]
}
