/** Keeps the lock of a folder: takes it, again and again where another guestd has it. */
import { statSync } from 'node:fs'
import type { Log } from '../log.ts'
import { messageOf } from '../util/message-of.ts'
import { type FolderLock, lockFolder } from './folder-lock.ts'

export interface Hold {
  /** Why the folder is not ours; `null`: it is. */
  readonly reason: string | null
  /** Settles with the first attempt. */
  readonly attempted: Promise<void>
  /** Never fails. */
  release(): Promise<void>
}

/** A folder that the other guestd leaves, or that another took the place of, is ours this soon. */
const RETRY_MS = 2_000

export interface HoldEvents {
  /** A folder has become ours. */
  taken(): void
  /** It is not ours, or not any more; told again with another reason. */
  refused(reason: string): void
}

export function holdFolder(path: string, { taken, refused }: HoldEvents, log: Log): Hold {
  let held: { readonly key: string; readonly lock: FolderLock } | null = null
  let reason: string | null = 'it is being locked'
  let timer: NodeJS.Timeout | undefined
  let isReleased = false

  const refuse = (why: string) => {
    if (why !== reason) {
      log.error({ path, reason: why }, 'the workspace cannot be used')
      refused(why)
    }
    reason = why
  }

  const lost = (error: Error) => {
    held = null
    refuse(`its lock was taken away: ${error.message}`)
  }

  /** A folder that was moved stays ours until another is at its place. */
  const take = async () => {
    const key = keyOf(path)
    if (key !== null && key !== held?.key) {
      await held?.lock.release()
      held = null
      try {
        held = { key, lock: await lockFolder(key, lost) }
        if (reason !== null) taken()
        reason = null
      } catch (error) {
        refuse(messageOf(error))
      }
    }
  }

  const tryToTake = () => {
    attempt = take()
      .catch(error => refuse(messageOf(error)))
      .finally(() => {
        if (!isReleased) timer = setTimeout(tryToTake, RETRY_MS).unref()
      })
    return attempt
  }
  let attempt: Promise<void> = Promise.resolve()
  const attempted = tryToTake()

  return {
    // One that is not there is nobody's: that it is missing is told by its state.
    get reason() {
      return reason
    },
    attempted,
    async release() {
      isReleased = true
      clearTimeout(timer)
      await attempt
      await held?.lock.release()
      held = null
    },
  }
}

/**
 * The folder itself, whatever path leads to it; `null` where there is none, or none that can be looked at:
 * whoever owns the folder above may put there what he likes.
 */
function keyOf(path: string): string | null {
  try {
    const stats = statSync(path, { bigint: true })
    return stats.isDirectory() ? `${stats.dev}-${stats.ino}` : null
  } catch {
    return null
  }
}
