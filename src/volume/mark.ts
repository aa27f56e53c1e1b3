/**
 * The bytes of a volume's mark: what guestd records about the use of the volume, in 1 MiB after the file system. The mark
 * has two slots, which are written in turn: after an interrupted write the other slot is still valid. Pure.
 *
 * A slot has 4 KiB: "guestd-mark 1 CRC LENGTH\n", the mark as JSON, and zeros. CRC is the CRC-32C of the JSON in 8
 * hexadecimal digits, LENGTH the length of the JSON in bytes.
 */

import type { Receipt } from '../protocol/schemas.ts'
import { firstOf } from '../util/cut-text.ts'
import { matchesSchema } from '../util/matches-schema.ts'
import { crc32c } from './crc32c.ts'
import { Mark } from './mark-schema.ts'

export type { Reset } from '../protocol/schemas/workspace-schema.ts'
export type { Mark, PendingFormat } from './mark-schema.ts'

/** Space after the file system of a volume that is reserved for the mark. */
export const MARK_AREA_BYTES = 1024 * 1024
export const SLOT_BYTES = 4096
export const SLOTS = 2

export interface Slots {
  /** The newest valid mark; `null`: none. */
  readonly mark: Mark | null
  /** Offset of the slot for the next mark, in bytes from the first slot. */
  readonly nextOffset: number
  /** Why no mark may be written: the bytes are not a mark, or the mark of a newer format. `null`: it may be written. */
  readonly refusal: 'foreign' | 'newer' | null
}

/** The first bytes of a mark of any format. */
export const MARK_PREFIX = 'guestd-mark '

/** @param bytes both slots */
export function readSlots(bytes: Buffer): Slots {
  const slots = Array.from({ length: SLOTS }, (_, index) =>
    bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES),
  )
  if (slots.some(isNewer)) return { mark: null, nextOffset: 0, refusal: 'newer' }
  const decoded = slots.map(decodeSlot)
  const marks = decoded.map(one => (typeof one === 'string' ? null : one))
  const best = marks.reduce(
    (one, mark, index) => ((mark?.sequence ?? -1) > (marks[one]?.sequence ?? -1) ? index : one),
    0,
  )
  const mark = marks[best] ?? null
  return {
    mark,
    nextOffset: mark === null ? 0 : ((best + 1) % SLOTS) * SLOT_BYTES,
    refusal: mark === null && decoded.includes('foreign') ? 'foreign' : null,
  }
}

/** The bytes of one slot. If the mark does not fit, the texts of its receipt are cut. */
export function encodeMark(mark: Mark): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES)
  let text = Buffer.from(JSON.stringify(mark))
  if (text.length > MAX_TEXT_BYTES)
    text = Buffer.from(JSON.stringify({ ...mark, receipt: shortened(mark.receipt) }))
  const crc = crc32c(text).toString(16).padStart(CRC_DIGITS, '0')
  const header = Buffer.from(`${MAGIC}${crc} ${text.length}\n`)
  header.copy(slot)
  text.copy(slot, header.length)
  return slot
}

/** When the volume was last used; ISO 8601, UTC. */
export function lastActivityOf({ lastActivityAt, at }: Mark): string {
  return lastActivityAt ?? at
}

const FORMAT = 1
const MAGIC = `${MARK_PREFIX}${FORMAT} `
const ANY_FORMAT = /^guestd-mark (\d{1,9}) /
const CRC_DIGITS = 8
const HEADER = /^guestd-mark 1 ([0-9a-f]{8}) (\d{1,4})\n/
const HEADER_BYTES = 32
const MAX_TEXT_BYTES = SLOT_BYTES - HEADER_BYTES
/** Of a receipt that is cut. With these the mark fits into a slot, whatever the characters. */
const KEPT_ERRORS = 2
const KEPT_CHARACTERS = 200

function isNewer(slot: Buffer): boolean {
  const [, format] = ANY_FORMAT.exec(slot.toString('latin1', 0, HEADER_BYTES)) ?? []
  return Number(format ?? 0) > FORMAT
}

/** `empty`: zeros, or an incomplete write. `foreign`: not a mark, also if the CRC is right and the JSON is not a mark. */
function decodeSlot(slot: Buffer): Mark | 'empty' | 'foreign' {
  if (slot.every(byte => byte === 0)) return 'empty'
  const begin = slot.toString('latin1', 0, HEADER_BYTES)
  if (!begin.startsWith(MAGIC)) return 'foreign'
  const [header, crc, length] = HEADER.exec(begin) ?? []
  if (header === undefined) return 'empty'
  const text = slot.subarray(header.length, header.length + Number(length))
  if (text.length !== Number(length) || crc32c(text) !== Number.parseInt(crc ?? '', 16))
    return 'empty'
  const value = fromJson(text.toString('utf8'))
  return matchesSchema(Mark, value) ? (value as Mark) : 'foreign'
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function shortened(receipt: Receipt | null): Receipt | null {
  if (receipt === null) return null
  // JSON takes six bytes for a control character.
  const short = (text: string) => firstOf(text, KEPT_CHARACTERS).replace(/\p{C}/gu, '?')
  return {
    ...receipt,
    errors: receipt.errors.slice(0, KEPT_ERRORS).map(short),
    heldBy: receipt.heldBy === null ? null : short(receipt.heldBy),
  }
}
