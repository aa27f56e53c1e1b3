/** How full a folder is, by its last walk. Pure. */
import type { Full, Usage } from './usage.ts'
import type { Walked } from './walk-folder.ts'

export interface FolderFigure {
  /** `null`: before the first walk. */
  readonly usage: Usage | null
  /** It counts as full only because more of it has become unreadable since it was full. */
  readonly isHidden: boolean
  take(walked: Walked): Usage
  /**
   * What has run out since then; `null`: nothing was seen.
   *
   * @param time of the clock
   */
  fullSince(time: number): Full | null
}

/** @param now the clock, in milliseconds */
export function createFolderFigure(
  capBytes: number,
  now: () => number = () => performance.now(),
): FolderFigure {
  let usage: Usage | null = null
  /** Files that could not be read when the folder was last over its cap: more of them are no room. */
  let unreadWhenFull = 0
  let isHidden = false
  /** When it was last known to be over its cap. */
  let fullAt = -1

  return {
    get usage() {
      return usage
    },
    get isHidden() {
      return isHidden
    },
    take({ bytes, inodes, unread }) {
      const isOver = bytes >= capBytes
      isHidden = !isOver && usage?.full === 'bytes' && unread > unreadWhenFull
      if (isOver) unreadWhenFull = unread
      const full = isOver || isHidden ? 'bytes' : null
      if (full !== null) fullAt = now()
      usage = {
        usedBytes: bytes,
        availableBytes: Math.max(0, capBytes - bytes),
        capBytes,
        usedInodes: inodes,
        availableInodes: null,
        full,
        at: new Date().toISOString(),
      }
      return usage
    },
    fullSince(time) {
      if (usage?.full === 'bytes') fullAt = now()
      return fullAt >= time ? 'bytes' : null
    },
  }
}
