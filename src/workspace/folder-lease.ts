/** Keeps the lock of a folder, and tries again while another guestd has it. */
import { statSync } from 'node:fs'
import type { Log } from '../log.ts'
import { messageOf } from '../util/message-of.ts'
import { type FolderLock, lockFolder } from './folder-lock.ts'

export interface FolderLease {
  /** Why the folder is not locked by this guestd; `null`: it is. */
  readonly reason: string | null
  /** Settles with the first attempt. */
  readonly attempted: Promise<void>
  /** Never fails. */
  release(): Promise<void>
}

/** How soon guestd locks a folder that the other guestd has left, or that has replaced the old one, in milliseconds. */
const RETRY_MS = 2_000

export interface FolderLeaseEvents {
  /** This guestd has locked the folder. */
  taken(): void
  /** This guestd could not lock the folder, or has lost the lock. Called again only for another reason. */
  refused(reason: string): void
}

export function keepFolder(
  path: string,
  { taken, refused }: FolderLeaseEvents,
  log: Log,
): FolderLease {
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

  /** A folder that was moved stays locked until another one is at its path. */
  const take = async () => {
    const key = keyOf(path)
    if (key === null || key === held?.key) return
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
 * Identifies the folder itself, whatever path leads to it. `null`: there is no folder, or it cannot be read; the owner
 * of its parent can replace it at any time.
 */
function keyOf(path: string): string | null {
  try {
    const stats = statSync(path, { bigint: true })
    return stats.isDirectory() ? `${stats.dev}-${stats.ino}` : null
  } catch {
    return null
  }
}
