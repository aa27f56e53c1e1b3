/** What the mark of a volume says after a power cut, and whether it is true. */
import { closeSync, openSync } from 'node:fs'
import { type Mark, readSlots, SLOT_BYTES, SLOTS } from '../../src/volume/mark.ts'
import type { Point } from './points.ts'
import type { Piece } from './rebuild.ts'
import type { Recording } from './recording.ts'
import { readExactly } from './write-log.ts'

export interface Marked {
  readonly recording: Recording
  /** Of the file system: the mark is behind it. */
  readonly bytes: number
}

/**
 * One slot is always whole. While it says clean nothing has been written to the file system since.
 *
 * @returns whether the stop is over, by a mark that was written since the recording began
 * @throws Error
 */
export function checkMark(
  { recording, bytes }: Marked,
  { durable }: Pick<Point, 'durable'>,
  { file, kept }: { readonly file: string; readonly kept: readonly Piece[] },
): boolean {
  const mark = markOf(file, bytes)
  if (mark === null) throw new Error('no slot can be read')
  if (mark.state !== 'clean') return false
  const written = recording.entries.findLast(
    ({ offset, dataAt }) =>
      offset >= bytes &&
      offset < bytes + SLOTS * SLOT_BYTES &&
      dataAt !== null &&
      readExactly(recording.fd, dataAt, SLOT_BYTES).includes(`"sequence":${mark.sequence},`),
  )
  const since = written?.index ?? -1
  const later =
    recording.entries.find(
      entry =>
        entry.index > since &&
        entry.index < durable &&
        entry.dataAt !== null &&
        entry.offset < bytes,
    ) ?? kept.find(({ entry, offset }) => entry.index > since && offset < bytes)?.entry
  if (later !== undefined)
    throw new Error(`it says clean since entry ${since}, and entry ${later.index} is on the disk`)
  return written !== undefined
}

/** `null`: no slot is whole. */
function markOf(file: string, bytes: number): Mark | null {
  const fd = openSync(file, 'r')
  try {
    return readSlots(readExactly(fd, bytes, SLOTS * SLOT_BYTES)).mark
  } finally {
    closeSync(fd)
  }
}
