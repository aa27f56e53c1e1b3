/** The mark that guestctl writes, before a guestd uses the volume. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { encodeMark, type Mark, SLOT_BYTES, SLOTS } from './mark.ts'

/**
 * Writes the mark to the first slot and clears the other one. All of the file is durable when it returns.
 *
 * @param end where the file system ends, in bytes
 * @param mark `null`: none is written
 */
export function writeFirstMark(
  path: string,
  end: number,
  mark: Pick<Mark, 'sessionId' | 'generation' | 'state'> | null,
): void {
  const fd = openSync(path, 'r+')
  try {
    if (mark !== null) {
      const slots = Buffer.alloc(SLOTS * SLOT_BYTES)
      const at = new Date().toISOString()
      encodeMark({ ...mark, sequence: 1, at, runtimeVersion: null, receipt: null }).copy(slots)
      writeSync(fd, slots, 0, slots.length, end)
    }
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
