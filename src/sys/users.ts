/** Users as the system's own databases know them. */
import { GuestdError } from '../errors.ts'
import { native, type UserEntry } from './native.ts'

/** login.defs(5): what Debian's ENV_SUPATH and ENV_PATH give at a login. */
const ROOT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const USER_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games'

/**
 * @param nameOrUid a name, a uid, or a uid in digits
 * @throws GuestdError `user_unknown`
 */
export function findUser(nameOrUid: string | number): UserEntry {
  const asNumber = typeof nameOrUid === 'string' && /^\d+$/.test(nameOrUid)
  const found = native.findUser(nameOrUid) ?? (asNumber ? native.findUser(Number(nameOrUid)) : null)
  if (found !== null) return found
  throw new GuestdError('user_unknown', `there is no user ${nameOrUid}`, { field: 'user' })
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
    PATH: user.uid === 0 ? ROOT_PATH : USER_PATH,
  }
}
