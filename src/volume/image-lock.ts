/** The lock of an image file: QEMU and guestctl keep each other out. */
import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { HELPER_PROGRAM, HelperError, runHelper } from '../sys/helper.ts'
import { findVolumeHolders, InUseError, type VolumeHolder } from './image-users.ts'
import { VolumeError } from './volume-error.ts'

/**
 * Works on a volume that nobody uses. Of an image file the lock is held meanwhile, so that no QEMU starts
 * on it; the kernel keeps others from a device that is mounted.
 *
 * @throws InUseError, VolumeError
 */
export async function withVolume<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = isFile(path) ? await takeLock(path) : null
  try {
    const holders = await findVolumeHolders(path, lock?.pid)
    if (holders.length > 0) throw new InUseError(path, holders)
    return await work()
  } finally {
    await lock?.release()
  }
}

/** Who uses it; touches nothing, and never keeps a machine from starting on it. @throws VolumeError */
export async function usersOf(path: string): Promise<readonly VolumeHolder[]> {
  const holders = await findVolumeHolders(path)
  return holders.length === 0 && isFile(path) && (await isLocked(path)) ? [UNSEEN] : holders
}

const UNSEEN: VolumeHolder = {
  pid: null,
  command: 'a process that this user cannot see',
  how: 'has its lock',
}
/** Asking for a lock of a local file takes no time. */
const ASK_LIMIT_MS = 10_000

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

async function isLocked(path: string): Promise<boolean> {
  try {
    const answer = await runHelper('is-locked', [resolve(path)], { limitMs: ASK_LIMIT_MS })
    return answer.toString() === 'locked\n'
  } catch (error) {
    throw error instanceof HelperError ? new VolumeError(`${path}: ${error.message}`) : error
  }
}

interface Lock {
  readonly pid: number | undefined
  release(): Promise<void>
}

async function takeLock(path: string): Promise<Lock> {
  const child = spawn(HELPER_PROGRAM, ['lock', path], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = Promise.withResolvers<void>()
  child.once('close', () => ended.resolve())
  const taken = Promise.withResolvers<boolean>()
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    complaint += text
  })
  child.stdout.once('data', () => taken.resolve(true))
  child.once('error', error => taken.reject(new VolumeError(error.message)))
  child.once('close', () => {
    if (/^fcntl (EAGAIN|EACCES) /.test(complaint)) taken.resolve(false)
    else taken.reject(new VolumeError(`${path}: ${complaint.trim()}`))
  })
  if (!(await taken.promise)) {
    const holders = await findVolumeHolders(path)
    throw new InUseError(path, holders.length > 0 ? holders : [UNSEEN])
  }
  return {
    pid: child.pid,
    async release() {
      child.stdin.end()
      await ended.promise
    },
  }
}
