/**
 * The mark of a volume: what guestd knows of its use, in the 1 MiB after the file system, which no
 * file system owns. Two slots are written in turn, so that one of them is whole after a write that was
 * torn. Pure.
 *
 * A slot is 4 KiB: "guestd-mark 1 CRC LENGTH\n" with the CRC-32C of the text in 8 hexadecimal digits
 * and its length in bytes, the text itself as JSON, and zeros.
 */

import type { Receipt } from '../protocol/schemas.ts'
import { firstOf } from '../util/cut-text.ts'
import { crc32c } from './crc32c.ts'
import { isMark } from './mark-shape.ts'

export interface Mark {
  /** One more with every write: of two whole slots the higher one counts. */
  readonly sequence: number
  /** Whose volume it is; `null`: nobody said. */
  readonly sessionId: string | null
  readonly runtimeVersion: string | null
  /** How many times the volume has been started. */
  readonly generation: number
  /** `inUse` from before the mount until the stop has left it clean. */
  readonly state: 'inUse' | 'clean'
  /** When this was written: ISO 8601, UTC. */
  readonly at: string
  /** When somebody last worked there: ISO 8601, UTC. Without it `at` is what is known. */
  readonly lastActivityAt?: string | undefined
  /** `host`: that time is by the clock of the host. Without it it is by the clock of the machine. */
  readonly lastActivityBy?: 'host' | undefined
  /** Of the last stop that came to its end. */
  readonly receipt: Receipt | null
  /** How this generation began, for a daemon that takes the mount over. */
  readonly began?: { readonly expired: boolean; readonly reset: Reset | null }
  /** A file system is being made: what is there before this is gone from the mark is of no use. */
  readonly pending?: PendingFormat | undefined
}

/** The file system that is to be: of the same geometry as the one before it. */
export interface PendingFormat {
  readonly why: 'blank' | Reset
  readonly blocks: number
  readonly blockBytes: number
  readonly inodes: number
  readonly reservedBlocks: number
  readonly label: string
  readonly mmp: boolean
}

/** Why a volume was started empty. */
export type Reset = 'expired' | 'versionChanged'

/** What a volume has after its file system, in bytes. */
export const MARK_AREA_BYTES = 1024 * 1024
export const SLOT_BYTES = 4096
export const SLOTS = 2

export interface Slots {
  readonly mark: Mark | null
  /** Where the next mark goes: the slot that holds less, in bytes from the first one. */
  readonly nextOffset: number
  /**
   * Why nothing may be written there: it is somebody else's, or of a guestd that has another format.
   * `null`: it may.
   */
  readonly refusal: 'foreign' | 'newer' | null
}

/** What every mark of every format begins with. */
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

/** One slot, ready to be written. Of a receipt with much to tell the beginnings are kept. */
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

/** When the volume was last worked with: ISO 8601, UTC. */
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
/** Of the receipt in a mark: with all else they stay far below a slot, in any characters. */
const KEPT_ERRORS = 2
const KEPT_CHARACTERS = 200

function isNewer(slot: Buffer): boolean {
  const [, format] = ANY_FORMAT.exec(slot.toString('latin1', 0, HEADER_BYTES)) ?? []
  return Number(format ?? 0) > FORMAT
}

/** `empty`: zeros, or one that was torn. What is whole and makes no sense is not ours either. */
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
  return isMark(value) ? value : 'foreign'
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
  // JSON has six bytes for some of these.
  const short = (text: string) => firstOf(text, KEPT_CHARACTERS).replace(/\p{C}/gu, '?')
  return {
    ...receipt,
    errors: receipt.errors.slice(0, KEPT_ERRORS).map(short),
    heldBy: receipt.heldBy === null ? null : short(receipt.heldBy),
  }
}
