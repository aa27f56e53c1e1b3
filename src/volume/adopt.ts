/** Assigns a volume without a readable mark to a session. */
import { statSync, truncateSync } from 'node:fs'
import { writeFirstMark } from './first-mark.ts'
import { withVolume } from './image-lock.ts'
import { type LookedAt, lookAtVolume } from './look-at-volume.ts'
import { MARK_AREA_BYTES } from './mark.ts'
import { VolumeError } from './volume-error.ts'

/**
 * Writes a mark for the session, and extends a file that is too short for it. The file system is not changed. From then
 * on, a guestd with `requireSession` accepts the volume for this session.
 *
 * @throws InUseError; VolumeError if it is not an ext4, is cut off, has a readable mark, or has other data in the place
 *   of the mark: nothing was written
 */
export async function adoptVolume(path: string, sessionId: string): Promise<LookedAt> {
  return await withVolume(path, async () => {
    const end = checkAdoptable(lookAtVolume(path))
    const stats = statSync(path)
    if (stats.isFile() && stats.size < end + MARK_AREA_BYTES)
      truncateSync(path, end + MARK_AREA_BYTES)
    writeFirstMark(path, end, { sessionId, generation: 1, state: 'inUse' })
    return lookAtVolume(path)
  })
}

/** Returns where its file system ends, in bytes. @throws VolumeError */
function checkAdoptable({ path, bytes, content, markPlace, mark }: LookedAt): number {
  if (content.kind !== 'ext4')
    throw new VolumeError(`${path} is not an intact ext4: check it first`)
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
