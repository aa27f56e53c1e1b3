/** When the workspace was last used, and which clock says so. Pure. */
import { lastActivityOf, type Mark } from './mark.ts'

export interface ActivityTime {
  /** ISO 8601, UTC. */
  readonly at: string
  /** By the time that the host sent. Otherwise by the clock of the machine, which may be wrong by any amount. */
  readonly byHost: boolean
}

/** Of a mark; `null`: the volume was never used. */
export function activityOf(mark: Mark | null): ActivityTime | null {
  if (mark === null || mark.generation === 0) return null
  return { at: lastActivityOf(mark), byHost: mark.lastActivityBy === 'host' }
}

/**
 * The time that the mark gets. The host's time replaces that of a machine. Otherwise the later time counts, so a clock
 * that is behind makes no volume older.
 *
 * @param known what the mark had before; `null`: nothing
 */
export function laterActivity(known: ActivityTime | null, now: ActivityTime): ActivityTime {
  if (known === null || (now.byHost && !known.byHost)) return now
  const at = Date.parse(known.at) > Date.parse(now.at) ? known.at : now.at
  return { at, byHost: now.byHost }
}

/** The members of a mark for it. */
export function activityMembers({ at, byHost }: ActivityTime): {
  readonly lastActivityAt: string
  readonly lastActivityBy: 'host' | undefined
} {
  return { lastActivityAt: at, lastActivityBy: byHost ? 'host' : undefined }
}
