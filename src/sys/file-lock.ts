/** An exclusive lock on a file, which the kernel releases with its process: flock(2). */
import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { numberOf } from './block-devices.ts'
import { native } from './native.ts'

/** Another process has the lock. */
export class LockedError extends Error {
  override readonly name = 'LockedError'
}

export interface Lock {
  /** Whether the locked file still has its path. If not, another process can lock a new file. */
  isInPlace(): boolean
  release(): void
}

/** @throws LockedError when another process has it; the message contains its pid when that is visible */
export function lockFile(path: string): Lock {
  const fd = openSync(path, 'a', 0o600)
  try {
    if (!native.lockFile(fd)) throw new LockedError(`another guestd has it: ${holderOf(fd)}`)
    const { dev, ino } = fstatSync(fd, { bigint: true })
    return { isInPlace: () => isFile(path, dev, ino), release: () => closeSync(fd) }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Reads /proc/locks, proc_locks(5): "1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF", the device in hex. */
function holderOf(fd: number): string {
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true })
    const file = `${numberOf(dev)}:${ino}`
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      const [, kind, , , pid = '', place = ''] = line.trim().split(/ +/)
      const [major = '', minor = '', inode] = place.split(':')
      const held = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}:${inode}`
      if (kind === 'FLOCK' && held === file && Number(pid) > 0) return `pid ${pid}`
    }
  } catch {
    // Without /proc the pid is not known.
  }
  return 'its pid is not known'
}

function isFile(path: string, dev: bigint, ino: bigint): boolean {
  try {
    const now = statSync(path, { bigint: true })
    return now.dev === dev && now.ino === ino
  } catch {
    return false
  }
}
