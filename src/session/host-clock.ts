/** The time of the host, as `PUT /v1/session` brings it; kept over a restart of guestd. */
import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { ActivityTime } from '../volume/activity-time.ts'
import { monotonicMs } from './boot.ts'
import { bootFile } from './boot-file.ts'

export interface HostClock {
  /** The host's time where it is known, otherwise that of this machine. */
  now(agoMs?: number): ActivityTime
  /** The same, but never later than the host's time where that is known: for decisions that delete data. */
  earliest(): ActivityTime
  /**
   * @param hostTime ISO 8601, UTC
   * @returns how far the clock of this machine is ahead of it, in milliseconds
   */
  set(hostTime: string): number
  /** Writes it once more, as after `runDir` was lost. @throws where it cannot be written */
  save(): void
}

/** Three clocks at the same moment. */
const StoredClock = Type.Object({
  hostMs: Type.Number(),
  monotonicMs: Type.Number(),
  wallMs: Type.Number(),
})

export const CLOCK_FILE = 'clock.json'

export function openHostClock(runDir: string, bootId: string): HostClock {
  const file = bootFile<Static<typeof StoredClock>>(runDir, CLOCK_FILE, bootId, StoredClock)
  let stored = file.read()

  /**
   * The monotonic clock stands still in a machine that is suspended, and the other one may be set at any time. The
   * later result counts for what is written to the mark: a time that is too early would make a volume look older than
   * it is.
   */
  const hostMs = () => {
    if (stored === null) return null
    const passedMs = Math.max(monotonicMs() - stored.monotonicMs, Date.now() - stored.wallMs)
    return stored.hostMs + passedMs
  }

  return {
    now(agoMs = 0) {
      const byHostMs = hostMs()
      const at = new Date((byHostMs ?? Date.now()) - agoMs).toISOString()
      return { at, byHost: byHostMs !== null }
    },
    earliest() {
      if (stored === null) return { at: new Date().toISOString(), byHost: false }
      // Root and NTP set the wall clock, so it does not count here.
      const at = new Date(stored.hostMs + monotonicMs() - stored.monotonicMs)
      return { at: at.toISOString(), byHost: true }
    },
    set(hostTime) {
      stored = { hostMs: Date.parse(hostTime), monotonicMs: monotonicMs(), wallMs: Date.now() }
      try {
        file.write(stored)
      } catch {
        // A restart of guestd then forgets it, and the clock of the machine starts no volume empty.
      }
      return stored.wallMs - stored.hostMs
    },
    save: file.save,
  }
}
