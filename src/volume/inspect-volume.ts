/** Everything that is known of a volume, without a guest. */

import { usersOf } from './image-lock.ts'
import type { VolumeHolder } from './image-users.ts'
import { type LookedAt, lookAtVolume } from './look-at-volume.ts'

export interface Inspected extends LookedAt {
  /** When it expires unless it is used; `null`: never, as nobody knows when it was used. */
  readonly expiresAt: string | null
  readonly expired: boolean
  /** Who uses it now. */
  readonly holders: readonly VolumeHolder[]
}

/**
 * @param idleMs after so long without activity it has expired
 * @throws VolumeError where it cannot be read
 */
export async function inspectVolume(path: string, idleMs: number): Promise<Inspected> {
  const seen = lookAtVolume(path)
  return { ...seen, ...expiryOf(seen, idleMs), holders: await usersOf(path) }
}

/** One that was just made: nobody uses it. */
export function inspectNew(seen: LookedAt): Inspected {
  return { ...seen, expiresAt: null, expired: false, holders: [] }
}

export function expiryOf(
  { lastActivityAt, changedAt }: LookedAt,
  idleMs: number,
): Pick<Inspected, 'expiresAt' | 'expired'> {
  if (lastActivityAt === null) return { expiresAt: null, expired: false }
  // The clock of a guest may have been behind: the host's counts as well.
  const last = Math.max(Date.parse(lastActivityAt), Date.parse(changedAt ?? lastActivityAt))
  const at = Math.min(last + idleMs, LAST_TIME)
  return { expiresAt: new Date(at).toISOString(), expired: at <= Date.now() }
}

/** Of a Date, ECMA-262 21.4.1.1. */
const LAST_TIME = 8.64e15
