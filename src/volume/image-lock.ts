/** The lock of an image file: QEMU and guestctl never use an image at the same time. */
import { closeSync, openSync, statSync } from 'node:fs'
import { messageOf } from '../util/message-of.ts'
import { findVolumeHolders, InUseError, type VolumeHolder } from './image-users.ts'
import { VolumeError } from './volume-error.ts'

/**
 * Works on a volume that is not in use. The lock of an image file is held for that time, so that no QEMU opens
 * the file. The kernel keeps other users away from a device that is mounted.
 *
 * @throws InUseError, VolumeError
 */
export async function withVolume<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = isFile(path) ? await takeLock(path) : null
  try {
    const holders = await findVolumeHolders(path, lock === null ? undefined : process.pid)
    if (holders.length > 0) throw new InUseError(path, holders)
    return await work()
  } finally {
    if (lock !== null) closeSync(lock)
  }
}

/** Who uses the volume. It takes no lock, so a machine can start on the volume at any time. @throws VolumeError */
export async function usersOf(path: string): Promise<readonly VolumeHolder[]> {
  const holders = await findVolumeHolders(path)
  return holders.length === 0 && isFile(path) && (await isLocked(path)) ? [UNSEEN] : holders
}

const UNSEEN: VolumeHolder = {
  pid: null,
  command: 'a process that this user cannot see',
  how: 'has its lock',
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** Only checks of image files load the addon, so that everything else works without it. */
async function loadAddon(path: string) {
  const { native } = await import('../sys/native.ts').catch((cause: unknown) => {
    const reason = `its lock needs the addon guestd_native.node beside guestctl: ${messageOf(cause)}`
    throw new VolumeError(`${path}: ${reason}`)
  })
  return native
}

async function isLocked(path: string): Promise<boolean> {
  const native = await loadAddon(path)
  const file = openImage(path, 'r')
  try {
    return native.isImageLocked(file)
  } catch (error) {
    throw new VolumeError(`${path}: ${messageOf(error)}`)
  } finally {
    closeSync(file)
  }
}

/** @returns the descriptor that holds the lock until it is closed */
async function takeLock(path: string): Promise<number> {
  const native = await loadAddon(path)
  const file = openImage(path, 'r+')
  try {
    if (native.lockImage(file)) return file
  } catch (error) {
    closeSync(file)
    throw new VolumeError(`${path}: ${messageOf(error)}`)
  }
  closeSync(file)
  const holders = await findVolumeHolders(path)
  throw new InUseError(path, holders.length > 0 ? holders : [UNSEEN])
}

/** Programs that this process starts do not inherit the descriptor. */
function openImage(path: string, flags: 'r' | 'r+'): number {
  try {
    return openSync(path, flags)
  } catch (error) {
    throw new VolumeError(messageOf(error))
  }
}
