/** Giving a volume without a readable mark to a session. */
import { closeSync, fsyncSync, openSync, statSync, truncateSync, writeSync } from 'node:fs'
import { withVolume } from './image-lock.ts'
import { type LookedAt, lookAtVolume } from './look-at-volume.ts'
import { encodeMark, MARK_AREA_BYTES, SLOT_BYTES, SLOTS } from './mark.ts'
import { VolumeError } from './volume-error.ts'

/**
 * Writes a mark for the session, and makes the place for it where the file is too short. What is in the file system
 * stays as it is. `requireSession` takes the volume from then on.
 *
 * @throws InUseError, VolumeError where it is no ext4, is cut off, has a readable mark, or something else is in the
 *   mark's place: nothing was written
 */
export async function adoptVolume(path: string, sessionId: string): Promise<LookedAt> {
  return await withVolume(path, async () => {
    const end = checkThatItCanBe(lookAtVolume(path))
    const stats = statSync(path)
    if (stats.isFile() && stats.size < end + MARK_AREA_BYTES)
      truncateSync(path, end + MARK_AREA_BYTES)
    writeMark(path, end, sessionId)
    return lookAtVolume(path)
  })
}

/** Where its file system ends. */
function checkThatItCanBe({ path, bytes, content, markPlace, mark }: LookedAt): number {
  if (content.kind !== 'ext4')
    throw new VolumeError(`${path} is no ext4 that is whole: check it first`)
  if (content.bytes > bytes) throw new VolumeError(`${path} has been cut off: check it first`)
  if (mark !== null) {
    const { sessionId } = mark
    throw new VolumeError(
      sessionId === null
        ? `${path} has a mark, and belongs to the first session that uses it`
        : `${path} belongs to the session ${sessionId}, by its mark`,
    )
  }
  if (markPlace === 'newer' || markPlace === 'foreign')
    throw new VolumeError(
      `${path} has ${markPlace === 'newer' ? 'the mark of a newer guestd' : 'something else'} in the mark's place`,
    )
  if (markPlace === 'none' && !statSync(path).isFile())
    throw new VolumeError(`${path} is a device with no room for a mark`)
  return content.bytes
}

function writeMark(path: string, end: number, sessionId: string): void {
  const at = new Date().toISOString()
  const fields = { runtimeVersion: null, generation: 1, state: 'inUse', receipt: null } as const
  const fd = openSync(path, 'r+')
  try {
    // What is torn in the other slot is gone.
    const slots = Buffer.alloc(SLOTS * SLOT_BYTES)
    encodeMark({ sequence: 1, sessionId, at, ...fields }).copy(slots)
    writeSync(fd, slots, 0, slots.length, end)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
