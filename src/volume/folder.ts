/** A folder of volumes. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { VolumeError } from './error.ts'
import { isLocked, withLock } from './lock.ts'
import { type LookedAt, lookAtVolume } from './look.ts'

export interface Listed extends LookedAt {
  /** A running machine has it. */
  readonly inUse: boolean
}

/**
 * Every file in the folder with an ext4 and the place for a mark, by name.
 *
 * @throws VolumeError
 */
export async function listVolumes(folder: string): Promise<readonly Listed[]> {
  const found: Listed[] = []
  for (const path of filesOf(folder)) {
    const volume = lookAtVolume(path)
    if (volume.content.kind !== 'ext4' || !volume.hasMarkPlace) continue
    found.push({ ...volume, inUse: await isLocked(path) })
  }
  return found
}

/**
 * Removes the volumes that have a mark and were not used since then. One that a machine has, or takes
 * in the meantime, stays.
 *
 * @param remove false: only tells which they are
 */
export async function sweepVolumes(
  folder: string,
  before: Date,
  remove: boolean,
): Promise<readonly Listed[]> {
  const expired = (await listVolumes(folder)).filter(
    ({ mark, usedAt, inUse }) => mark !== null && !inUse && new Date(usedAt) < before,
  )
  if (!remove) return expired
  const gone: Listed[] = []
  for (const volume of expired) {
    await withLock(volume.path, async () => {
      // It may have been used since it was looked at.
      if (new Date(lookAtVolume(volume.path).usedAt) >= before) return
      rmSync(volume.path)
      gone.push(volume)
    })
  }
  return gone
}

function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(({ name }) => join(folder, name))
      .sort()
  } catch (error) {
    throw new VolumeError(error instanceof Error ? error.message : String(error))
  }
}
