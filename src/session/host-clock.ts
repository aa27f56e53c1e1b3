/** The time of the host, which `PUT /v1/session` sets. It survives a restart of guestd. */
import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { ActivityTime } from '../volume/activity-time.ts'
import { monotonicMs } from './boot.ts'
import { bootFile } from './boot-file.ts'

export interface HostClock {
  /** The time of the host if it is known, otherwise that of this machine. */
  now(agoMs?: number): ActivityTime
  /** The same, but never later than the time of the host if it is known: for decisions that delete data. */
  earliest(): ActivityTime
  /**
   * @param hostTime ISO 8601, UTC
   * @returns how far the clock of this machine is ahead of it, in milliseconds
   */
  set(hostTime: string): number
  /** Writes it again, after `runDir` was lost. @throws if it cannot be written */
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
   * The monotonic clock does not run while the machine is suspended, and the wall clock may be set at any time. The later
   * result is written to the mark: with a time that is too early a volume would expire too soon.
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
      // Root and NTP can set the wall clock, so it is not used here.
      const at = new Date(stored.hostMs + monotonicMs() - stored.monotonicMs)
      return { at: at.toISOString(), byHost: true }
    },
    set(hostTime) {
      stored = { hostMs: Date.parse(hostTime), monotonicMs: monotonicMs(), wallMs: Date.now() }
      try {
        file.write(stored)
      } catch {
        // After a restart the time is unknown, and no volume is started empty by the clock of this machine.
      }
      return stored.wallMs - stored.hostMs
    },
    save: file.save,
  }
}
