/** Log lines and events when the workspace gets to 80, 90 and 100 %, and when it has room again. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { Usage } from './usage.ts'

export interface Levels {
  /** Each figure as it comes. */
  take(usage: Usage): void
}

const LEVELS = [80, 90, 100] as const
/** A level is left below this much less than it, so that one at its edge is not told again and again. */
const HYSTERESIS_PERCENT = 2

export function createLevels(log: Log, emit: Emit): Levels {
  let level = 0
  const told = (reached: (typeof LEVELS)[number] | 0, usage: Usage) => {
    emit({ type: 'workspace_level', percent: reached, rising: reached > level, ...usage })
    level = reached
  }
  return {
    take(usage) {
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
    },
  }
}

/** The larger share, of bytes or of inodes; 100 where one has run out. */
function percentOf({ full, usedBytes, capBytes, usedInodes, availableInodes }: Usage): number {
  if (full !== null) return 100
  const inodes = availableInodes === null ? null : usedInodes + availableInodes
  const share = Math.max(
    usedBytes / Math.max(capBytes, 1),
    inodes === null ? 0 : usedInodes / Math.max(inodes, 1),
  )
  // 100 is for what is full.
  return Math.min(Math.floor(share * 100), 99)
}
