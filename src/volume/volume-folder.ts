/** A folder of volumes. */
import { lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { withVolume } from './image-lock.ts'
import { holderWords, InUseError } from './image-users.ts'
import { expiryOf, type Inspected, inspectVolume } from './inspect-volume.ts'
import { isVolume, lookAtVolume } from './look-at-volume.ts'
import { asVolumeError } from './volume-error.ts'

export interface Unread {
  readonly path: string
  readonly reason: string
}

/**
 * Lists every file in the folder that is a volume, by name, and the files that this user cannot read. Links and folders
 * are ignored.
 *
 * @throws VolumeError
 */
export async function listVolumes(
  folder: string,
  idleMs: number,
): Promise<{ readonly volumes: readonly Inspected[]; readonly unread: readonly Unread[] }> {
  const volumes: Inspected[] = []
  const unread: Unread[] = []
  for (const path of filesOf(folder)) {
    try {
      const volume = await inspectVolume(path, idleMs)
      if (isVolume(volume)) volumes.push(volume)
    } catch (error) {
      if (isThere(path)) unread.push({ path, reason: asVolumeError(error).message })
    }
  }
  return { volumes, unread }
}

export interface Swept {
  readonly path: string
  /** `expired`: it would be deleted without `dryRun`. */
  readonly outcome: 'deleted' | 'expired' | 'kept' | 'failed'
  /** Why it is kept, or could not be deleted. */
  readonly reason: string | null
  readonly sessionId: string | null
  readonly lastActivityAt: string | null
  /** Time without activity, in milliseconds. */
  readonly idleMs: number | null
  /** Its size on the host's disk. */
  readonly diskBytes: number
}

/**
 * Deletes the volumes that have expired, and holds the lock of each until its file is gone. A volume that is in use or
 * has no mark stays. Files that are no volumes stay, and are not in the result.
 *
 * @throws VolumeError if the folder cannot be read
 */
export async function sweepVolumes(
  folder: string,
  idleMs: number,
  dryRun: boolean,
): Promise<readonly Swept[]> {
  const swept: Swept[] = []
  for (const path of filesOf(folder)) {
    try {
      const one = await sweepOne(path, idleMs, dryRun)
      if (one !== null) swept.push(one)
    } catch (error) {
      if (isThere(path)) swept.push({ ...NOTHING, path, reason: asVolumeError(error).message })
    }
  }
  return swept
}

/** For a file that could not be read. */
const NOTHING = {
  outcome: 'failed',
  sessionId: null,
  lastActivityAt: null,
  idleMs: null,
  diskBytes: 0,
} as const

/** Another process may remove it at any time. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

async function sweepOne(path: string, idleMs: number, dryRun: boolean): Promise<Swept | null> {
  const volume = await inspectVolume(path, idleMs)
  if (!isVolume(volume)) return null
  const { mark, lastActivityAt, holders, markPlace } = volume
  const diskBytes = lstatSync(path).blocks * STAT_BLOCK_BYTES
  const sweptAs = (outcome: Swept['outcome'], reason: string | null): Swept => ({
    path,
    outcome,
    reason,
    sessionId: mark?.sessionId ?? null,
    lastActivityAt,
    idleMs: lastActivityAt === null ? null : Math.max(0, Date.now() - Date.parse(lastActivityAt)),
    diskBytes,
  })
  if (markPlace === 'newer') return sweptAs('kept', 'its mark was written by a newer guestd')
  if (markPlace === 'foreign')
    return sweptAs('kept', 'there is other data in the place of its mark')
  if (mark === null || mark.generation === 0) return sweptAs('kept', 'it has not been used yet')
  if (holders.length > 0) return sweptAs('kept', `in use: ${holderWords(holders)}`)
  if (!volume.expired) return sweptAs('kept', 'it is not idle for that long')
  if (dryRun) return sweptAs('expired', null)
  try {
    return await withVolume(path, async () => {
      // It may have been used since the inspection.
      const now = lookAtVolume(path)
      if (now.mark === null || !expiryOf(now, idleMs).expired)
        return sweptAs('kept', 'it has been used just now')
      if (!lstatSync(path).isFile()) return sweptAs('kept', 'it is not a file any more')
      rmSync(path)
      return sweptAs('deleted', null)
    })
  } catch (error) {
    if (error instanceof InUseError) return sweptAs('kept', `in use: ${holderWords(error.holders)}`)
    return sweptAs('failed', asVolumeError(error).message)
  }
}

const STAT_BLOCK_BYTES = 512

function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(({ name }) => join(folder, name))
      .sort()
  } catch (error) {
    throw asVolumeError(error)
  }
}
