/** A fresh workspace volume, as `guestctl volume create` makes it. */

import path from 'node:path'
import { cached } from '../rootfs/cache.ts'
import { contentKey } from '../rootfs/content-key.ts'
import { createVolume } from '../src/volume/create-volume.ts'

/** By this the guest finds it. */
export const VOLUME_LABEL = 'guestd-workspace'
const GIB = 1024 ** 3

/** Makes the file, of which users get exactly 1 GiB. @throws VolumeError if it is there already */
export async function makeVolume(file: string): Promise<void> {
  await createVolume(file, { bytes: GIB, label: VOLUME_LABEL, sessionId: null })
}

/** One for machines whose workspace is forgotten at their end; to be opened with `snapshot=on`. */
export async function ensureEmptyVolume(): Promise<string> {
  const code = path.join(import.meta.dirname, '../src/volume')
  const key = await contentKey([], [import.meta.filename, code])
  const name = 'workspace.ext4'
  const folder = await cached({
    kind: 'volume',
    key,
    build: folder => makeVolume(path.join(folder, name)),
  })
  return path.join(folder, name)
}
