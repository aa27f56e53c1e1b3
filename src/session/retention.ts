/** Whether a volume goes on as it was left, or is started empty. Pure. */
import { lastActivityOf, type Mark, type Reset } from '../protocol/volume/mark.ts'
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
}

/**
 * @param mark of the volume as it was left; `null`: nobody knows anything of it, and it goes on
 * @param owner who is to use it
 * @param now in milliseconds of the epoch. A clock that is behind never has anything expire
 */
export function judge(
  mark: Mark | null,
  owner: Owner | null,
  { retentionMs, onExpired, onVersionChange }: RetentionSettings,
  now: number,
): Verdict {
  if (mark === null || mark.generation === 0) return { expired: false, reset: null }
  const idleMs = now - Date.parse(lastActivityOf(mark))
  const expired = retentionMs > 0 && idleMs >= retentionMs
  // Whose it is to be is known, and that the time in the mark is the last one: a machine that was lost may have
  // worked on without a chance to tell.
  const sure = owner !== null && mark.state === 'clean'
  if (sure && expired && onExpired === 'reset') return { expired, reset: 'expired' }
  const before = mark.runtimeVersion
  const version = owner?.runtimeVersion ?? null
  const changed = before !== null && version !== null && before !== version
  return { expired, reset: changed && onVersionChange === 'reset' ? 'versionChanged' : null }
}
