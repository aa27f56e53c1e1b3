/** The mark of a volume that is not in use, for tests: it is in the last 1 MiB of the image. */
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import {
  encodeMark,
  MARK_AREA_BYTES,
  type Mark,
  readSlots,
  SLOT_BYTES,
  SLOTS,
  type Slots,
} from '../../src/volume/mark.ts'

export const markOffset = (image: string) => statSync(image).size - MARK_AREA_BYTES

export function slotsOf(image: string): Slots {
  const bytes = Buffer.alloc(SLOTS * SLOT_BYTES)
  const fd = openSync(image, 'r')
  readSync(fd, bytes, 0, bytes.length, markOffset(image))
  closeSync(fd)
  return readSlots(bytes)
}

/** @throws where there is none */
export function readMark(image: string): Mark {
  const { mark } = slotsOf(image)
  if (mark === null) throw new Error('there is no mark')
  return mark
}

/** The next mark, with changes: where guestd would write it. */
export function changeMark(image: string, change: Partial<Mark>): void {
  const { mark, nextOffset } = slotsOf(image)
  if (mark === null) throw new Error('there is no mark')
  const slot = encodeMark({ ...mark, ...change, sequence: mark.sequence + 1 })
  writeAfter(image, nextOffset, slot)
}

/** Writes to the place of the mark. */
export function writeAfter(image: string, offset: number, bytes: Buffer): void {
  const fd = openSync(image, 'r+')
  writeSync(fd, bytes, 0, bytes.length, markOffset(image) + offset)
  closeSync(fd)
}
