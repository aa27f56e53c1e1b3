/** Watches how full a volume is, and reports its levels. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../util/message-of.ts'
import { createLevels } from './fullness-levels.ts'
import type { Full, Usage } from './usage.ts'

export interface Fullness {
  /** The usage now, or the last one if it cannot be read now; `null`: it could never be read. Never fails. */
  usage(): Usage | null
  /**
   * What has run out since then, or now; `null`: nothing was seen.
   *
   * @param time a `performance.now()` time
   */
  fullSince(time: number): Full | null
  stop(): void
}

/** In milliseconds. One read takes some microseconds, and finds even a workspace that is full for a short time. */
const LOOK_MS = 250

/** @param read returns the usage now; may throw */
export function watchFullness(read: () => Usage, log: Log, emit: Emit): Fullness {
  const seen: Record<Full, number> = { bytes: -1, inodes: -1 }
  const levels = createLevels(log, emit)

  let last: Usage | null = null
  let problem = ''

  const look = (): Usage | null => {
    try {
      last = read()
      problem = ''
    } catch (error) {
      const reason = messageOf(error)
      if (reason !== problem) log.warn({ reason }, 'the usage of the workspace cannot be read')
      problem = reason
      return last
    }
    if (last.full !== null) seen[last.full] = performance.now()
    levels.take(last)
    return last
  }
  const timer = setInterval(look, LOOK_MS).unref()

  return {
    usage: look,
    fullSince(time) {
      look()
      if (seen.bytes >= time) return 'bytes'
      return seen.inodes >= time ? 'inodes' : null
    },
    stop: () => clearInterval(timer),
  }
}
