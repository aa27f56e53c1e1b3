/**
 * `runDir`: the folder with the state that a restarted guestd reads. One guestd uses it at a time, even if the folder is
 * deleted: a second lock is outside of it, where only the user of guestd can write.
 */
import { hash } from 'node:crypto'
import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { StartError } from '../errors.ts'
import { type Lock, LockedError, lockFile } from '../sys/file-lock.ts'
import { lockPlace } from '../sys/lock-place.ts'
import { errorCode } from '../util/error-code.ts'
import { messageOf } from '../util/message-of.ts'

export interface RunDir {
  /**
   * Checks that the folder and its lock exist, and creates them again if they do not.
   *
   * @returns `restored`: they were created again, and are empty
   */
  check(): 'kept' | 'restored' | 'lost'
  /** Why the folder cannot be created again; `null`: it exists. */
  readonly problem: string | null
  release(): void
}

const MODE = 0o700
/**
 * Longest wait for a lock that is held, in milliseconds. After a SIGKILL of the previous guestd, a child between its
 * clone and its exec can hold the lock for a moment longer.
 */
const LOCK_WAIT_MS = 1_000
const LOCK_RETRY_MS = 20

/** @throws StartError if another guestd uses it, or if it cannot be used */
export function openRunDir(path: string): RunDir {
  let lock: Lock | null
  let outer: Lock | null = null
  try {
    make(path)
    outer = retryWhileLocked(() => lockOutside(path))
    lock = retryWhileLocked(() => lockInside(path))
  } catch (error) {
    outer?.release()
    throw new StartError(`runDir ${path} cannot be used: ${messageOf(error)}`)
  }
  let problem: string | null = null

  return {
    check() {
      if (lock === null || lock.isInPlace()) {
        if (existsSync(path)) {
          problem = null
          return 'kept'
        }
      }
      try {
        make(path)
        const again = lockInside(path)
        lock?.release()
        lock = again
        problem = null
        return 'restored'
      } catch (error) {
        problem = `${path} was deleted, and cannot be made again: ${messageOf(error)}`
        return 'lost'
      }
    },
    get problem() {
      return problem
    },
    release() {
      lock?.release()
      outer?.release()
    },
  }
}

/** Blocks the thread: at the start there is nothing to serve yet. @throws LockedError */
function retryWhileLocked<T>(take: () => T): T {
  const deadline = performance.now() + LOCK_WAIT_MS
  for (;;) {
    try {
      return take()
    } catch (error) {
      if (!(error instanceof LockedError) || performance.now() > deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_RETRY_MS)
    }
  }
}

function make(path: string): void {
  // Its parents are not created: a wrong path is an error.
  if (!existsSync(path)) mkdirSync(path, { mode: MODE })
}

/** `null` on a full file system: guestd has to start, and the lock outside is enough. */
function lockInside(path: string): Lock | null {
  try {
    return lockFile(join(path, 'lock'))
  } catch (error) {
    if (errorCode(error) === 'ENOSPC') return null
    throw error
  }
}

/**
 * Its name is made from the parent folder, so every path to `runDir` has the same lock. `null` if there is no place for
 * locks.
 *
 * @throws LockedError
 */
function lockOutside(path: string): Lock | null {
  try {
    const { dev, ino } = statSync(realpathSync(dirname(path)), { bigint: true })
    const name = hash('sha256', `${dev}:${ino}:${basename(path)}`).slice(0, NAME_DIGITS)
    return lockFile(join(lockPlace(process.geteuid?.() ?? 0), `run-${name}`))
  } catch (error) {
    if (error instanceof LockedError) throw error
    return null
  }
}

const NAME_DIGITS = 32
