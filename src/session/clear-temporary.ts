/** Removes the files that commands have left in the folders for temporary files, which may be in memory. */
import { GuestdError } from '../errors.ts'
import type { ClearedTemporary } from '../protocol/schemas.ts'
import { runHelper } from '../sys/helper.ts'
import { findUser, UnknownUserError } from '../sys/users.ts'

const FOLDERS = ['/tmp', '/var/tmp', '/dev/shm']
/** Time limit of a call, in milliseconds. A call that reaches it has removed a part; the next call continues. */
const LIMIT_MS = 25_000

export interface TemporaryOwners {
  /** Whether a process of a command is left. */
  isBusy(): boolean
  /** Names or ids of the users that commands run as, or have run as. */
  users(): readonly (string | number)[]
}

/**
 * Keeps files of root, and of users that a process runs as.
 *
 * @throws GuestdError `busy` while a process of a command is left
 * @throws HelperError if it does not end in time
 */
export async function clearTemporary(owners: TemporaryOwners): Promise<ClearedTemporary> {
  if (owners.isBusy()) {
    throw new GuestdError(
      'busy',
      'a command runs, or processes of one: its temporary files are in use',
    )
  }
  const uids = new Set(owners.users().flatMap(uidOf))
  uids.delete(0)
  const printed = await runHelper('clear', [[...uids].join(','), ...FOLDERS], { limitMs: LIMIT_MS })
  const [removed = 0, freedBytes = 0, kept = 0] = printed.toString().trim().split(' ').map(Number)
  return { removed, freedBytes, kept }
}

/** Empty for a user that no longer exists. */
function uidOf(user: string | number): number[] {
  try {
    return [findUser(user).uid]
  } catch (error) {
    if (error instanceof UnknownUserError) return []
    throw error
  }
}
