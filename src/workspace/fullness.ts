/** Watches how full the volume is: what was full when, and the levels that are told. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../util/message-of.ts'
import { createLevels } from './fullness-levels.ts'
import type { Full, Usage } from './usage.ts'

export interface Fullness {
  /** Now, or where that cannot be read, as it was last read; `null`: never. */
  usage(): Usage | null
  /** What was seen to have run out since then (of `performance.now()`); looks now, too. */
  fullSince(time: number): Full | null
  stop(): void
}

/** A look costs some microseconds; who fills the workspace and makes room at once is still seen. */
const LOOK_MS = 250

/** @param read the usage now; may fail */
export function watchFullness(read: () => Usage, log: Log, emit: Emit): Fullness {
  const seen: Record<Full, number> = { bytes: -1, inodes: -1 }
  const levels = createLevels(log, emit)

  let last: Usage | null = null
  let complaint = ''

  /** Never fails, as each request for the status reads it. */
  const look = (): Usage | null => {
    try {
      last = read()
      complaint = ''
    } catch (error) {
      const reason = messageOf(error)
      if (reason !== complaint) log.warn({ reason }, 'the usage of the workspace cannot be read')
      complaint = reason
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
