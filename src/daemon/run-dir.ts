/**
 * `runDir`: the folder of what a restarted guestd has to know. One guestd uses it at a time, also when the
 * folder is deleted while that one runs: a second lock lies where only guestd's own user can touch it.
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
   * Looks whether the folder and its lock are there. Where they are not, makes them again.
   *
   * @returns `restored`: they were made again, and are empty
   */
  check(): 'kept' | 'restored' | 'lost'
  /** Why the folder cannot be made again; `null`: it is there. */
  readonly problem: string | null
  release(): void
}

const MODE = 0o700
/**
 * How long a lock that is taken is tried again, in milliseconds. After a SIGKILL of the guestd before, a
 * child between its clone and its exec can hold the lock for a moment longer.
 */
const LOCK_WAIT_MS = 1_000
const LOCK_RETRY_MS = 20

/** @throws StartError where another guestd has it, or it cannot be used */
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

/** Blocks: at the start there is nothing to serve yet. @throws LockedError */
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
  // Not its parents: a path that is wrong is reported, not made.
  if (!existsSync(path)) mkdirSync(path, { mode: MODE })
}

/** `null` on a full file system: the lock outside is enough, and guestd has to start. */
function lockInside(path: string): Lock | null {
  try {
    return lockFile(join(path, 'lock'))
  } catch (error) {
    if (errorCode(error) === 'ENOSPC') return null
    throw error
  }
}

/**
 * Named after the folder that holds it, so that every path to it has the same lock. `null` where there is no
 * place for locks.
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
