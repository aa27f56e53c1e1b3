/** Identifies what is on a device, from its first 68 KiB and its last 1 MiB. Pure. */
import { MARK_AREA_BYTES, MARK_PREFIX, type Mark, readSlots, SLOT_BYTES, SLOTS } from './mark.ts'
import { findAtBegin, findAtEnd } from './signatures.ts'
import { type Ext4, readExt4 } from './superblock.ts'

/** Size of the beginning that is read: up to the signature of btrfs. */
export const HEAD_BYTES = 68 * 1024
/** Size of the end that is read, at least: the area of the mark. */
export const TAIL_BYTES = MARK_AREA_BYTES

export type Content =
  | Ext4
  | Damaged
  /** Anything else with a signature. guestd never writes to it. */
  | { readonly kind: 'other'; readonly name: string }
  /** Only zeros. */
  | { readonly kind: 'blank' }
  | { readonly kind: 'unknown' }

/** It was a volume: its superblock is broken, or only its mark is left. */
export interface Damaged {
  readonly kind: 'damaged'
  readonly hasSuperblock: boolean
  readonly mark: Mark | null
  /** Where the mark is, which is where the file system ended, in bytes. */
  readonly markOffset: number | null
}

/** The last bytes of a device, and the offset of the first of them. */
export interface Tail {
  readonly bytes: Buffer
  readonly offset: number
}

/**
 * @param head at least the first 68 KiB, or all of a smaller device
 * @param tail `null`: not read. Needed only if {@link needsTail} returns true
 */
export function identify(head: Buffer, tail: Tail | null = null): Content {
  const ext4 = readExt4(head)
  if (ext4 === 'no journal') return { kind: 'other', name: 'ext2, or ext4 without a journal' }
  if (ext4 !== null && ext4 !== 'broken') return ext4
  const hasSuperblock = ext4 === 'broken'
  const name = hasSuperblock ? null : findAtBegin(head)
  if (name !== null) return { kind: 'other', name }
  const mark = tail === null ? null : findMark(tail)
  if (mark !== null) return { kind: 'damaged', hasSuperblock, ...mark }
  if (hasSuperblock) return { kind: 'damaged', hasSuperblock, mark: null, markOffset: null }
  const end = tail === null ? null : findAtEnd(tail.bytes)
  if (end !== null) return { kind: 'other', name: `${end} (at its end)` }
  return isZero(head) && (tail === null || isZero(tail.bytes))
    ? { kind: 'blank' }
    : { kind: 'unknown' }
}

/** The beginning does not identify the content; the end may. */
export function needsTail({ kind }: Content): boolean {
  return kind === 'blank' || kind === 'unknown' || kind === 'damaged'
}

/** For people. It completes the sentences "/dev/vdb is …" and "… is on it". */
export function contentWords(content: Content): string {
  if (content.kind === 'blank') return 'blank (its first 68 KiB and its last 1 MiB are zeros)'
  if (content.kind === 'unknown') return 'nothing that guestd knows'
  if (content.kind === 'other') return content.name
  if (content.kind === 'damaged') return damagedWords(content)
  return content.label === '' ? 'ext4 without a label' : `ext4 labelled ${content.label}`
}

function damagedWords({ mark, hasSuperblock }: Damaged): string {
  const of = mark === null ? 'an ext4' : `a volume of the session ${mark.sessionId ?? '(none yet)'}`
  const why =
    mark?.pending !== undefined
      ? 'that was being made'
      : hasSuperblock
        ? 'with a broken superblock'
        : 'without a superblock, with a guestd mark at its end'
  const help = mark?.pending === undefined ? "; 'guestctl volume check --repair' may repair it" : ''
  return `${of} ${why}${help}`
}

/** The mark follows a file system, and the smallest block has this size. */
const STEP_BYTES = 1024

function findMark({ bytes, offset }: Tail): Pick<Damaged, 'mark' | 'markOffset'> | null {
  const prefix = Buffer.from(MARK_PREFIX)
  const last = bytes.length - SLOTS * SLOT_BYTES
  for (let at = (STEP_BYTES - (offset % STEP_BYTES)) % STEP_BYTES; at <= last; at += STEP_BYTES) {
    if (!bytes.subarray(at, at + prefix.length).equals(prefix)) continue
    const { mark } = readSlots(bytes.subarray(at, at + SLOTS * SLOT_BYTES))
    if (mark !== null) return { mark, markOffset: offset + at }
  }
  return null
}

function isZero(bytes: Buffer): boolean {
  return bytes.every(byte => byte === 0)
}
