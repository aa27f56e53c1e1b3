/** When the workspace was last used, and by which clock. Pure. */
import { lastActivityOf, type Mark } from './mark.ts'

export interface ActivityTime {
  /** ISO 8601, UTC. */
  readonly at: string
  /** By the host's time. Otherwise by the clock of the machine, which may be wrong by any amount. */
  readonly byHost: boolean
}

/** The last activity in a mark; `null`: the volume was never used. */
export function activityOf(mark: Mark | null): ActivityTime | null {
  if (mark === null || mark.generation === 0) return null
  return { at: lastActivityOf(mark), byHost: mark.lastActivityBy === 'host' }
}

/**
 * The time for the mark. The host's time replaces the time of a machine. Otherwise the later time counts, so a clock that
 * is behind makes no volume older.
 *
 * @param known the time in the mark so far; `null`: none
 */
export function laterActivity(known: ActivityTime | null, now: ActivityTime): ActivityTime {
  if (known === null || (now.byHost && !known.byHost)) return now
  const at = Date.parse(known.at) > Date.parse(now.at) ? known.at : now.at
  return { at, byHost: now.byHost }
}

/** The same as fields of a mark. */
export function activityMembers({ at, byHost }: ActivityTime): {
  readonly lastActivityAt: string
  readonly lastActivityBy: 'host' | undefined
} {
  return { lastActivityAt: at, lastActivityBy: byHost ? 'host' : undefined }
}
