/** Removes the files that commands have left in the folders for temporary files, which may be in memory. */
import { realpathSync } from 'node:fs'
import { GuestdError } from '../errors.ts'
import type { ClearedTemporary } from '../protocol/schemas.ts'
import { runHelper } from '../sys/helper.ts'
import { listMounts } from '../sys/mounts.ts'
import { findUser } from '../sys/users.ts'

const FOLDERS = ['/tmp', '/var/tmp', '/dev/shm']
/** After this the helper stops between two entries, in milliseconds. The next call continues. */
const HELPER_MS = 20_000
/** The helper is killed after this, in milliseconds. */
const LIMIT_MS = 25_000
/** Most users that are remembered: a request may name any user. */
const MOST_USERS = 64

export interface TemporaryOptions {
  /** Whether a process of a command is left. */
  readonly isBusy: () => boolean
  /** The user of commands that name none; `null`: guestd's own. */
  readonly user: string | number | null
  /** Paths that guestd uses: a folder above one of them is not cleared. */
  readonly inUse: readonly string[]
}

export interface TemporaryFiles {
  /** A command was launched as this user. */
  started(user: string): void
  /** @throws GuestdError `busy` while files are being removed */
  admit(): void
  /**
   * Removes the entries of users of commands, with everything in them. Keeps entries of root, of users that a process
   * runs as, and folders with a mount below them.
   *
   * @throws GuestdError `busy` while a process of a command is left, or another call runs
   * @throws HelperError if it does not end in time
   */
  clear(): Promise<ClearedTemporary>
}

export function createTemporaryFiles({ isBusy, user, inUse }: TemporaryOptions): TemporaryFiles {
  const users = new Set(user === null ? [] : [String(user)])
  let isClearing = false

  const admit = () => {
    if (isClearing) throw new GuestdError('busy', 'temporary files are being removed')
  }
  const clearNow = async (): Promise<ClearedTemporary> => {
    const uids = [...users].map(uidOf).filter(uid => uid !== null && uid !== 0)
    const folders = FOLDERS.filter(folder => !isAboveAny(folder, inUse))
    const args = [uids.join(','), String(HELPER_MS), ...folders]
    const printed = await runHelper('clear', args, { limitMs: LIMIT_MS })
    const [removed = 0, freedBytes = 0, kept = 0] = printed.toString().trim().split(' ').map(Number)
    return { removed, freedBytes, kept: kept + FOLDERS.length - folders.length }
  }

  return {
    started(name) {
      if (users.size < MOST_USERS) users.add(name)
    },
    admit,
    async clear() {
      admit()
      if (isBusy()) {
        const detail = 'a command runs, or processes of one: its temporary files are in use'
        throw new GuestdError('busy', detail)
      }
      isClearing = true
      try {
        return await clearNow()
      } finally {
        isClearing = false
      }
    },
  }
}

/** `null` for a user that no longer exists. */
function uidOf(user: string): number | null {
  try {
    return findUser(user).uid
  } catch {
    return null
  }
}

function isAboveAny(folder: string, paths: readonly string[]): boolean {
  const used = [...listMounts().map(({ at }) => at), ...paths.map(realPath)]
  return used.some(path => path.startsWith(`${folder}/`))
}

/** The path itself where it does not exist. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
