/** Whether a volume goes on as it was left, or is started empty. Pure. */

import { type ActivityTime, activityOf } from './activity-time.ts'
import type { Mark, Reset } from './mark.ts'
import type { Owner } from './owner.ts'

export interface RetentionSettings {
  /** After so long without activity a volume has expired; 0: never. */
  readonly retentionMs: number
  readonly onExpired: 'keep' | 'reset'
  /** When the host tells another runtime version than the mark does. */
  readonly onVersionChange: 'keep' | 'reset'
}

export interface Verdict {
  readonly expired: boolean
  /** Why it is to be started empty; `null`: it goes on. */
  readonly reset: Reset | null
  /** Why it is kept although it has expired and `onExpired` is `reset`; `null` otherwise. */
  readonly keptBecause: string | null
}

const NONE: Verdict = { expired: false, reset: null, keptBecause: null }

/**
 * @param mark of the volume as it was left; `null`: nobody knows anything of it, and it goes on
 * @param owner who is to use it
 * @param now never later than the host's time where that is known. A clock that is behind has nothing expire. Only the host's time starts a volume empty, and only where its
 *   last activity is known by the host's time too
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

/** Why it is not certain that it has expired, or whose it is; `null`: it is. */
function doubtOf(
  mark: Mark,
  last: ActivityTime,
  owner: Owner | null,
  now: ActivityTime,
): string | null {
  if (owner === null) return 'it is not known whose it is to be'
  // A machine that was lost may have worked on without a chance to write the time.
  if (mark.state !== 'clean') return 'it was not left clean, so its last activity is not known'
  if (!now.byHost) return 'the host has not sent its time (hostTime), and a clock may be wrong'
  if (!last.byHost)
    return "its last activity is known by a machine's clock alone, not by the host's"
  return null
}
