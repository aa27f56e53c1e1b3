/** Watches how full the workspace is: lines at 80, 90 and 100 %, and what was full when. */
import type { Log } from '../log.ts'
import type { Tell } from './events.ts'
import { type Full, readUsage, type Usage } from './usage.ts'

export interface Fullness {
  usage(): Usage
  /** What was seen to have run out since then (of `performance.now()`); looks now, too. */
  fullSince(time: number): Full | null
  stop(): void
}

/** A look costs some microseconds; who fills the workspace and makes room at once is still seen. */
const LOOK_MS = 250
const LEVELS = [80, 90, 100] as const
/** A level is left below this much less than it, so that one at its edge is not told again and again. */
const HYSTERESIS_PERCENT = 2

export function watchFullness(path: string, log: Log, tell: Tell): Fullness {
  const seen: Record<Full, number> = { bytes: -1, inodes: -1 }
  let level = 0

  const told = (reached: (typeof LEVELS)[number] | 0, usage: Usage) => {
    tell({ type: 'workspace_level', percent: reached, rising: reached > level, ...usage })
    level = reached
  }

  const look = (): Usage => {
    const usage = readUsage(path)
    if (usage.full !== null) seen[usage.full] = performance.now()
    const percent = percentOf(usage)
    const reached = LEVELS.findLast(one => percent >= one) ?? 0
    if (reached > level) {
      log[reached === 100 ? 'error' : 'warn'](
        { percent: reached, ...usage },
        'the workspace fills up',
      )
      told(reached, usage)
    } else if (reached < level && percent < level - HYSTERESIS_PERCENT) {
      log.info({ percent: reached, ...usage }, 'the workspace has room again')
      told(reached, usage)
    }
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

/** The larger share, of bytes or of inodes; 100 where one has run out. */
function percentOf({ full, usedBytes, capBytes, usedInodes, availableInodes }: Usage): number {
  if (full !== null) return 100
  const inodes = usedInodes + availableInodes
  const share = Math.max(usedBytes / Math.max(capBytes, 1), usedInodes / Math.max(inodes, 1))
  // 100 is for what is full.
  return Math.min(Math.floor(share * 100), 99)
}
