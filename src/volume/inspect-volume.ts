/** Inspects a volume on the host, without a guest. */

import { usersOf } from './image-lock.ts'
import type { VolumeHolder } from './image-users.ts'
import { type LookedAt, lookAtVolume } from './look-at-volume.ts'

export interface Inspected extends LookedAt {
  /** When it expires unless it is used; `null`: never, as it is not known when it was last used. */
  readonly expiresAt: string | null
  readonly expired: boolean
  /** Who uses it now. */
  readonly holders: readonly VolumeHolder[]
}

/**
 * @param idleMs it expires after this time without activity, in milliseconds
 * @throws VolumeError if it cannot be read
 */
export async function inspectVolume(path: string, idleMs: number): Promise<Inspected> {
  const seen = lookAtVolume(path)
  return { ...seen, ...expiryOf(seen, idleMs), holders: await usersOf(path) }
}

/** For a volume that was just made, and is not in use yet. */
export function inspectNew(seen: LookedAt): Inspected {
  return { ...seen, expiresAt: null, expired: false, holders: [] }
}

export function expiryOf(
  { lastActivityAt, changedAt }: LookedAt,
  idleMs: number,
): Pick<Inspected, 'expiresAt' | 'expired'> {
  if (lastActivityAt === null) return { expiresAt: null, expired: false }
  // The clock of the guest may have been behind, so the host's counts too.
  const last = Math.max(Date.parse(lastActivityAt), Date.parse(changedAt ?? lastActivityAt))
  const at = Math.min(last + idleMs, LAST_TIME)
  return { expiresAt: new Date(at).toISOString(), expired: at <= Date.now() }
}

/** Of a Date, ECMA-262 21.4.1.1. */
const LAST_TIME = 8.64e15
