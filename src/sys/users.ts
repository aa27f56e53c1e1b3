/** Users as the system's own databases know them. */
import { native, type UserEntry } from './native.ts'

/** login.defs(5): what Debian's ENV_SUPATH and ENV_PATH give at a login. */
const ROOT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const USER_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games'
/** What Debian's ~/.profile puts before it: programs that the user has installed for itself. */
const OWN_FOLDERS = ['.local/bin', 'bin']

const { maxId } = native.constants

/** There is no such user, or the number is larger than an id can be. */
export class UnknownUserError extends Error {
  override readonly name = 'UnknownUserError'
}

/**
 * A user of the databases, or, as container runtimes have it, a uid that no entry has: its group has the same number,
 * its home is `/`. With UID:GID the group is that one, and there are no others.
 *
 * @param wanted a name, a uid, a uid in digits, or `UID:GID`
 * @throws UnknownUserError; another Error with a `code` where the databases cannot be read
 */
export function findUser(wanted: string | number): UserEntry {
  const named = typeof wanted === 'string' ? native.findUser(wanted) : null
  if (named !== null) return named
  const [, uid, gid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(String(wanted)) ?? []
  if (uid === undefined) throw new UnknownUserError(`there is no user ${wanted}`)
  const ids = [uid, ...(gid === undefined ? [] : [gid])].map(Number)
  if (ids.some(id => id > maxId)) throw new UnknownUserError(`${wanted}: an id is at most ${maxId}`)
  const user = native.findUser(Number(uid)) ?? withoutEntry(Number(uid))
  return gid === undefined ? user : { ...user, gid: Number(gid), groups: [Number(gid)] }
}

function withoutEntry(id: number): UserEntry {
  return { name: String(id), uid: id, gid: id, home: '/', shell: '/bin/sh', groups: [id] }
}

/** The user that guestd itself runs as. */
export function ownUser(): UserEntry {
  const uid = process.geteuid?.() ?? 0
  const gid = process.getegid?.() ?? 0
  return (
    native.findUser(uid) ?? {
      name: String(uid),
      uid,
      gid,
      home: '/',
      shell: '/bin/sh',
      groups: process.getgroups?.() ?? [gid],
    }
  )
}

/** What a login gives: environ(7). */
export function loginEnv(user: UserEntry): Readonly<Record<string, string>> {
  return {
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: user.shell,
    PATH: user.uid === 0 ? ROOT_PATH : [...ownFolders(user), USER_PATH].join(':'),
  }
}

/** They need not be there. A home with `:` in it cannot be on a PATH; `/` is the home of a uid that has no entry. */
function ownFolders({ home }: UserEntry): readonly string[] {
  if (home === '/' || !home.startsWith('/') || home.includes(':')) return []
  return OWN_FOLDERS.map(folder => `${home}/${folder}`)
}
