/** Users of the system's databases. */
import { native, type UserEntry } from './native.ts'

/** PATH after a login on Debian: ENV_SUPATH and ENV_PATH of login.defs(5). */
const ROOT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const USER_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games'
/** Folders that Debian's ~/.profile adds in front, for programs that the user has installed. */
const OWN_FOLDERS = ['.local/bin', 'bin']

const { maxId } = native.constants

/** The user does not exist, or the number is too large for an id. */
export class UnknownUserError extends Error {
  override readonly name = 'UnknownUserError'
}

/**
 * Finds a user in the databases. A uid without an entry is allowed, as in container runtimes: its group has the same
 * number, and its home is `/`. With `UID:GID` the user has only that group.
 *
 * @param wanted a name, a uid, a uid in digits, or `UID:GID`
 * @throws UnknownUserError
 * @throws Error with a `code` when the databases cannot be read
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

/** The user of guestd itself. */
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

/** The environment after a login: environ(7). */
export function loginEnv(user: UserEntry): Readonly<Record<string, string>> {
  return {
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    SHELL: user.shell,
    PATH: user.uid === 0 ? ROOT_PATH : [...ownFolders(user), USER_PATH].join(':'),
  }
}

/** They need not exist. A home with a `:` cannot be on a PATH; `/` is the home of a uid without an entry. */
function ownFolders({ home }: UserEntry): readonly string[] {
  if (home === '/' || !home.startsWith('/') || home.includes(':')) return []
  return OWN_FOLDERS.map(folder => `${home}/${folder}`)
}
