/** Decides whether a volume keeps its content or is started empty. Pure. */

import { type ActivityTime, activityOf } from './activity-time.ts'
import type { Mark, Reset } from './mark.ts'
import type { Owner } from './owner.ts'

export interface RetentionSettings {
  /** A volume expires after this time without activity, in milliseconds; 0: never. */
  readonly retentionMs: number
  readonly onExpired: 'keep' | 'reset'
  /** If the host sends another runtime version than the mark has. */
  readonly onVersionChange: 'keep' | 'reset'
}

export interface Verdict {
  readonly expired: boolean
  /** Why it is started empty; `null`: it keeps its content. */
  readonly reset: Reset | null
  /** Why it keeps its content although it has expired and `onExpired` is `reset`; `null` otherwise. */
  readonly keptBecause: string | null
}

const NONE: Verdict = { expired: false, reset: null, keptBecause: null }

/**
 * Only the host's time can start a volume empty, and only if its last activity is known by the host's time too.
 *
 * @param mark of the volume as it was left; `null`: there is none, and the volume keeps its content
 * @param owner the session that will use it; `null`: not known
 * @param now never later than the host's time, if that is known. With a clock that is behind, nothing expires
 */
export function judge(
  mark: Mark | null,
  owner: Owner | null,
  { retentionMs, onExpired, onVersionChange }: RetentionSettings,
  now: ActivityTime,
): Verdict {
  const last = activityOf(mark)
  if (mark === null || last === null) return NONE
  const idleMs = Date.parse(now.at) - Date.parse(last.at)
  const expired = retentionMs > 0 && idleMs >= retentionMs
  const doubt = expired && onExpired === 'reset' ? doubtOf(mark, last, owner, now) : null
  if (expired && onExpired === 'reset' && doubt === null)
    return { expired, reset: 'expired', keptBecause: null }
  const before = mark.runtimeVersion
  const version = owner?.runtimeVersion ?? null
  const changed = before !== null && version !== null && before !== version
  const reset = changed && onVersionChange === 'reset' ? 'versionChanged' : null
  return { expired, reset, keptBecause: reset === null ? doubt : null }
}

/** Why its expiry or its owner is not certain; `null`: both are. */
function doubtOf(
  mark: Mark,
  last: ActivityTime,
  owner: Owner | null,
  now: ActivityTime,
): string | null {
  if (owner === null) return 'the session that will use it is not known'
  // A machine that was lost may have been active after the last write of the time.
  if (mark.state !== 'clean') return 'it was not left clean, so its last activity is not known'
  if (!now.byHost) return 'the host has not sent its time (hostTime), and a clock may be wrong'
  if (!last.byHost)
    return "its last activity is known by a machine's clock alone, not by the host's"
  return null
}
