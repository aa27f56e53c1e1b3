/** Log lines and events when the workspace reaches 80, 90 and 100 %, and when it has room again. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { Usage } from './usage.ts'

export interface Levels {
  /** To be called with each new figure. */
  take(usage: Usage): void
}

const LEVELS = [80, 90, 100] as const
/** How far below a level the usage has to fall to leave it, so that a usage near a level is not reported repeatedly. */
const HYSTERESIS_PERCENT = 2

export function createLevels(log: Log, emit: Emit): Levels {
  let level = 0
  const report = (reached: (typeof LEVELS)[number] | 0, usage: Usage) => {
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
        report(reached, usage)
      } else if (reached < level && percent < level - HYSTERESIS_PERCENT) {
        log.info({ percent: reached, ...usage }, 'the workspace has room again')
        report(reached, usage)
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
  // Only a full workspace has 100 %.
  return Math.min(Math.floor(share * 100), 99)
}
