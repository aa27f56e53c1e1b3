/** What is on a device, by its first 68 KiB and its last 1 MiB. Pure. */
import { MARK_AREA_BYTES, MARK_PREFIX, type Mark, readSlots, SLOT_BYTES, SLOTS } from './mark.ts'
import { findAtBegin, findAtEnd } from './signatures.ts'
import { type Ext4, readExt4 } from './superblock.ts'

/** What is looked at of the beginning: up to the signature of btrfs. */
export const HEAD_BYTES = 68 * 1024
/** What is looked at of the end, at least: the mark's area, which lies there. */
export const TAIL_BYTES = MARK_AREA_BYTES

export type Content =
  | Ext4
  | Damaged
  /** Anything else that has a signature: nothing of ours to write to. */
  | { readonly kind: 'other'; readonly name: string }
  /** Nothing but zeros. */
  | { readonly kind: 'blank' }
  | { readonly kind: 'unknown' }

/** It was a volume: its superblock is broken, or its mark is all that is known of it. */
export interface Damaged {
  readonly kind: 'damaged'
  readonly hasSuperblock: boolean
  readonly mark: Mark | null
  /** Where the mark is: there the file system ended. */
  readonly markOffset: number | null
}

/** The last bytes of a device, and where they begin. */
export interface Tail {
  readonly bytes: Buffer
  readonly offset: number
}

/**
 * @param head at least the first 68 KiB, or all of a smaller device
 * @param tail `null`: not looked at. It only matters where {@link needsTail} says so
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

/** The beginning alone does not tell: the end may. */
export function needsTail({ kind }: Content): boolean {
  return kind === 'blank' || kind === 'unknown' || kind === 'damaged'
}

/** For people, so that "/dev/vdb is …" and "… is on it" are phrases. */
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
  const help = mark?.pending === undefined ? "; 'guestctl volume check --repair' may mend it" : ''
  return `${of} ${why}${help}`
}

/** The mark follows a file system, whose blocks have at least this size. */
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
