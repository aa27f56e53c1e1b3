/** The folder of guestd's locks. All processes of the user find it, and no other user can write to it. */
import { lstatSync, mkdirSync } from 'node:fs'
import { errorCode } from '../util/error-code.ts'

/** Root uses /run, another user its own /run/user; /tmp when that does not exist, or cannot be written. */
const RUN = '/run'
const TMP = '/tmp'
const NAME = 'guestd-locks'
const OWNER_ONLY = 0o700
const NOT_OURS = 0o077
/** Errors on a read-only root file system, and for a user without a session. */
const NO_PLACE = ['ENOENT', 'EROFS', 'EACCES']

/**
 * Returns the folder, and creates it when it is missing. It does not depend on settings or environment variables, so
 * that each guestd of the user finds the same locks.
 *
 * @throws Error when the path is a link, belongs to another user, or is accessible to others
 */
export function lockPlace(uid: number): string {
  const first = uid === 0 ? `${RUN}/${NAME}` : `${RUN}/user/${uid}/${NAME}`
  return prepare(first, uid) ?? prepare(`${TMP}/${NAME}-${uid}`, uid) ?? fail(first)
}

function prepare(path: string, uid: number): string | null {
  try {
    mkdirSync(path, { mode: OWNER_ONLY })
  } catch (error) {
    const code = errorCode(error)
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
