/**
 * What the workloads said, in the log of the disk that it is about: each has a slot of one sector behind
 * the file system, and writes a line of JSON there past the page cache. Their place among the other
 * writes is what counts: what stands before a note had happened when it was written.
 */

import type { Recording } from './recording.ts'
import { readExactly } from './write-log.ts'

export const NOTE_BYTES = 512
/** Slots of the area. */
export const NOTE_SLOTS = 64
export const NOTE_AREA_BYTES = NOTE_BYTES * NOTE_SLOTS

/** One line, as the workload writes it. */
export interface NoteText {
  /** Who. */
  readonly by: string
  /** What it has done so far: its records 1 to n are written. */
  readonly n: number
  /** A commit's name. */
  readonly hash?: string
}

export interface Note extends NoteText {
  /** Entries of the log before this one had completed. */
  readonly at: number
}

/** @param area where the slots begin on the disk, in bytes */
export function readNotes({ fd, entries }: Recording, area: number): Note[] {
  const notes: Note[] = []
  for (const { index, offset, bytes, dataAt } of entries) {
    if (offset < area || dataAt === null) continue
    // Neighbours may have been written as one.
    for (let at = 0; at < bytes; at += NOTE_BYTES) {
      const text = readExactly(fd, dataAt + at, NOTE_BYTES).toString('utf8')
      const end = text.indexOf('\n')
      if (end > 0) notes.push({ ...JSON.parse(text.slice(0, end)), at: index })
    }
  }
  return notes
}

/** What must be there after a cut: of each workload how many records, and what it said of the last. */
export type Claims = ReadonlyMap<string, NoteText>

export interface ClaimRules {
  /** A record of these is durable when it is noted: they fsync. */
  readonly durableAtOnce: ReadonlySet<string>
  /** Their notes n stand around the flush n: what was noted before the first is durable at the second. */
  readonly flush: { readonly begin: string; readonly done: string }
}

/**
 * @param stopped the stop has been acknowledged: all that was ever noted counts
 */
export function claimsAt(
  notes: readonly Note[],
  cut: number,
  stopped: boolean,
  { durableAtOnce, flush }: ClaimRules,
): Claims {
  const seen = notes.filter(({ at }) => stopped || at < cut)
  const done = seen.findLast(({ by }) => by === flush.done)?.n ?? 0
  const flushed = seen.findLast(({ by, n }) => by === flush.begin && n <= done)?.at ?? -1
  const claims = new Map<string, NoteText>()
  for (const note of seen) {
    if (note.by === flush.begin || note.by === flush.done) continue
    if (stopped || durableAtOnce.has(note.by) || note.at < flushed) claims.set(note.by, note)
  }
  return claims
}
