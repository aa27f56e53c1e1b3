/** The lock of an image file: QEMU and guestctl keep each other out. */
import { spawn } from 'node:child_process'
import { HELPER_PROGRAM } from '../sys/helper.ts'
import { VolumeError } from './error.ts'

/** @throws VolumeError while another has it */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = await takeLock(path)
  try {
    return await work()
  } finally {
    await lock.release()
  }
}

/** Whether a running machine has it. */
export async function isLocked(path: string): Promise<boolean> {
  try {
    const lock = await takeLock(path)
    await lock.release()
    return false
  } catch (error) {
    if (error instanceof Locked) return true
    throw error
  }
}

class Locked extends VolumeError {}

async function takeLock(path: string): Promise<{ release(): Promise<void> }> {
  const child = spawn(HELPER_PROGRAM, ['lock', path], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = Promise.withResolvers<void>()
  child.once('close', () => ended.resolve())
  const taken = Promise.withResolvers<void>()
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    complaint += text
  })
  child.stdout.once('data', () => taken.resolve())
  child.once('error', error => taken.reject(new VolumeError(error.message)))
  child.once('close', () => {
    if (/ (EAGAIN|EACCES) /.test(complaint) && complaint.startsWith('fcntl'))
      taken.reject(
        new Locked(`${path} is in use: a running machine or another guestctl has its lock`),
      )
    else taken.reject(new VolumeError(`${path}: ${complaint.trim()}`))
  })
  await taken.promise
  return {
    async release() {
      child.stdin.end()
      await ended.promise
    },
  }
}
