/** Watches how full the volume is: what was full when, and the levels that are told. */
import type { Log } from '../log.ts'
import type { Tell } from './events.ts'
import { createLevels } from './levels.ts'
import { type Full, readUsage, type Usage } from './usage.ts'

export interface Fullness {
  usage(): Usage
  /** What was seen to have run out since then (of `performance.now()`); looks now, too. */
  fullSince(time: number): Full | null
  stop(): void
}

/** A look costs some microseconds; who fills the workspace and makes room at once is still seen. */
const LOOK_MS = 250

export function watchFullness(path: string, log: Log, tell: Tell): Fullness {
  const seen: Record<Full, number> = { bytes: -1, inodes: -1 }
  const levels = createLevels(log, tell)

  const look = (): Usage => {
    const usage = readUsage(path)
    if (usage.full !== null) seen[usage.full] = performance.now()
    levels.take(usage)
    return usage
  }
  const timer = setInterval(() => {
    try {
      look()
    } catch (err) {
      log.debug({ err }, 'the usage of the workspace cannot be read')
    }
  }, LOOK_MS).unref()

  return {
    usage: look,
    fullSince(time) {
      try {
        look()
      } catch {
        // What was seen before still counts.
      }
      if (seen.bytes >= time) return 'bytes'
      return seen.inodes >= time ? 'inodes' : null
    },
    stop: () => clearInterval(timer),
  }
}
