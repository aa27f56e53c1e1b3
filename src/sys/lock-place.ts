/** Where guestd keeps locks that all of its processes on this machine see, and no other user can touch. */
import { lstatSync, mkdirSync } from 'node:fs'

/** Of root in /run, of a user in its own /run/user; in /tmp where that is not there, or cannot be written. */
const RUN = '/run'
const TMP = '/tmp'
const NAME = 'guestd-locks'
const OWNER_ONLY = 0o700
const NOT_OURS = 0o077
/** A root file system that is read-only, a user without a session. */
const NO_PLACE = ['ENOENT', 'EROFS', 'EACCES']

/**
 * The folder, made where it is missing. No setting and no variable counts: who starts guestd with other
 * ones has to find the same locks.
 *
 * @throws Error where what has its name is a link, another user's, or open to others
 */
export function lockPlace(uid: number): string {
  const first = uid === 0 ? `${RUN}/${NAME}` : `${RUN}/user/${uid}/${NAME}`
  return prepare(first, uid) ?? prepare(`${TMP}/${NAME}-${uid}`, uid) ?? fail(first)
}

function prepare(path: string, uid: number): string | null {
  try {
    mkdirSync(path, { mode: OWNER_ONLY })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (NO_PLACE.includes(code)) return null
    if (code !== 'EEXIST') throw error
  }
  const stats = lstatSync(path)
  if (stats.isDirectory() && stats.uid === uid && (stats.mode & NOT_OURS) === 0) return path
  throw new Error(`${path}, the place of locks, is not a folder of this user alone`)
}

function fail(path: string): never {
  throw new Error(`there is no place for locks: neither ${path} nor one in ${TMP} can be made`)
}
