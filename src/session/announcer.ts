/** Log lines and events of the session as a whole. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { Receipt, SessionRequest, StopReason } from '../protocol/schemas.ts'
import type { Assigned } from './assign-session.ts'

/** Smallest difference of clocks that is logged: a request may take a while, and clocks drift. */
const CLOCK_TOLERANCE_MS = 60_000

export interface Announcer {
  limitReached(
    limit: 'idle' | 'lifetime',
    limits: { readonly idleMs: number; readonly lifetimeMs: number },
  ): void
  sessionAssigned(request: SessionRequest, assigned: NonNullable<Assigned>): void
  /** @param aheadMs how far the clock of this machine is ahead of the host's */
  hostTime(aheadMs: number): void
  stopping(reason: StopReason): void
  stopped(receipt: Receipt, reason: StopReason): void
  /** The session was stopped before this start of guestd. */
  stoppedBefore(receipt: Receipt, reason: StopReason): void
}

export function createAnnouncer(rootLog: Log, emit: Emit): Announcer {
  const log = rootLog.child({ component: 'session' })
  return {
    limitReached(limit, { idleMs, lifetimeMs }) {
      log.info({ limit, idleMs, lifetimeMs }, 'a limit of the session is reached')
      if (limit === 'idle') emit({ type: 'idle_limit', idleMs })
      else emit({ type: 'lifetime_limit', lifetimeMs })
    },
    sessionAssigned({ id, runtimeVersion = null }, assigned) {
      if (assigned.kind === 'renewed') {
        const { changed, more } = assigned
        log.info({ session: id, changed, more }, 'the session is renewed')
        emit({ type: 'session_renewed', id, changed: [...changed], more })
        return
      }
      log.info({ session: id, runtimeVersion }, 'the session is set')
      emit({ type: 'session_set', id, runtimeVersion })
    },
    hostTime(aheadMs) {
      if (Math.abs(aheadMs) < CLOCK_TOLERANCE_MS) return
      log.warn({ aheadMs }, 'the clock of this machine differs from the time of the host')
    },
    stopping(reason) {
      rootLog.info({ component: 'lifecycle', reason }, 'stopping')
      emit({ type: 'stopping', reason })
    },
    stopped(receipt, reason) {
      log[receipt.clean ? 'info' : 'error']({ ...receipt }, 'the session is stopped')
      emit({ type: 'stopped', ...receipt, reason })
    },
    stoppedBefore(receipt, reason) {
      log.warn({ ...receipt }, 'the session was stopped before guestd was started')
      emit({ type: 'stopped', ...receipt, reason })
    },
  }
}
