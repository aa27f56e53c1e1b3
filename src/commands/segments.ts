/** The segments of a log in order of their cursors: added at the end, dropped from the beginning, found by cursor. */
import type { StreamName } from '../protocol/frames.ts'
import type { Block } from './blocks.ts'

/** Bytes of one stream that lie together in one block. */
export interface Segment {
  readonly stream: StreamName
  /** Cursor of the first byte. */
  readonly cursor: number
  readonly block: Block
  /** Of the first byte in the block. */
  readonly offset: number
  length: number
  /** Memory that the log had ever taken before this segment. */
  readonly takenBefore: number
}

export interface Segments {
  readonly newest: Segment | null
  readonly oldest: Segment | null
  push(segment: Segment): void
  dropOldest(): void
  /** The segment that holds the byte at `cursor`, which is at or after the first byte held; `null` without segments. */
  holding(cursor: number): Segment | null
  /** How many segments there are from that one on. */
  countFrom(cursor: number): number
}

/** The list is compacted once this many dropped segments lead it. */
const COMPACT_AFTER = 1024

export function createSegments(): Segments {
  /** `null`: dropped, and its memory freed; the list keeps its place for a while. */
  let list: (Segment | null)[] = []
  let head = 0

  /** Binary search for the index of the segment that holds the byte at `cursor`. */
  const find = (cursor: number): number => {
    let low = head
    let high = list.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((list[middle]?.cursor ?? 0) <= cursor) low = middle
      else high = middle - 1
    }
    return low
  }

  return {
    get newest() {
      return list.length > head ? (list[list.length - 1] ?? null) : null
    },
    get oldest() {
      return list[head] ?? null
    },
    push: segment => void list.push(segment),
    dropOldest() {
      if (head >= list.length) return
      list[head] = null
      head += 1
      if (head < COMPACT_AFTER || head * 2 < list.length) return
      list = list.slice(head)
      head = 0
    },
    holding: cursor => list[find(cursor)] ?? null,
    countFrom: cursor => list.length - find(cursor),
  }
}
