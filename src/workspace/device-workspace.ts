/**
 * The workspace on a device. One that cannot be had never ends guestd: it is looked for again and
 * again, and whoever needs it is told why it is not there.
 */
import { closeSync } from 'node:fs'
import { asGuestdError, GuestdError } from '../errors.ts'
import type { Receipt } from '../protocol/schemas.ts'
import type { Owner } from '../volume/owner.ts'
import { isBelow, unavailable } from '../volume/unavailable.ts'
import { keepActivity } from './activity-mark.ts'
import { type Health, watchHealth } from './file-system-health.ts'
import { drainInner } from './flush-loops.ts'
import { createFlusher, type Flusher } from './flusher.ts'
import { type Fullness, watchFullness } from './fullness.ts'
import { readTop, TOP_LIMIT_MS } from './largest.ts'
import { emitMounted } from './mount-events.ts'
import { mountVolume, type Volume } from './mount-volume.ts'
import type { Source } from './source.ts'
import { unmountVolume } from './unmount.ts'
import { readUsage } from './usage.ts'
import type { History } from './volume-history.ts'
import type { Workspace, WorkspaceHooks, WorkspaceSettings } from './workspace.ts'

/** The place that keeps the held descriptor over a restart of guestd, such as the service manager. */
export interface StoredFd {
  /** What a daemon before this one left there. */
  readonly fd: number | null
  keep(fd: number): void
  /** Resolves once it holds nothing any more. */
  drop(): Promise<void>
}

interface Mounted {
  readonly volume: Volume
  readonly flusher: Flusher
  readonly health: Health
  readonly fullness: Fullness
  readonly activity: { stop(): Promise<void> }
}

/** A device that comes late, or that somebody mends, is seen this soon. */
const RETRY_MS = 2_000
/** A mount that takes longer, as of a long journal, goes on while guestd serves already. */
const START_WAIT_MS = 3_000
const BEING_MOUNTED = 'it is being mounted'
const WAITS_FOR_SESSION = 'the host has not set the session: PUT /v1/session'
const MOUNTED_ALREADY =
  'it was mounted before this was said, and from now on no command is started; those that run go on. With requireSession it would not have been mounted'
/** Of the steps after a flush that took all of its time, each has a few seconds still. */
const AFTER_FLUSH_MS = 60_000

export function openMounted(
  source: Exclude<Source, { kind: 'folder' }>,
  settings: WorkspaceSettings,
  firstOwner: Owner | null,
  stored: StoredFd,
  hooks: WorkspaceHooks,
): Workspace & {
  /** Settles with the first attempt, or after 3 s. */
  readonly attempted: Promise<unknown>
} {
  const { workspaceMount: path, user, flushLimitMs: limitMs, flushEveryMs: everyMs } = settings
  const { log, emit } = hooks
  let mounted: Mounted | null = null
  let owner = firstOwner
  let reason = BEING_MOUNTED
  let mismatch: GuestdError | null = null
  /** It is mounted, and the host has said another session than its own. */
  let refused: string | null = null
  let retry: NodeJS.Timeout | undefined
  let isEnding = false
  const cancelled = new AbortController()
  /** Still told when it is no longer mounted. */
  let kept: History | null = null

  const mount = async () => {
    mismatch = null
    try {
      const volume = await mountVolume({
        ...settings,
        source,
        path,
        user,
        owner,
        storedFd: stored.fd,
        now: hooks.now,
        earliest: hooks.earliest,
        cancel: cancelled.signal,
      })
      if (volume.fd !== stored.fd) {
        await forget(stored)
        stored.keep(volume.fd)
      }
      const health = watchHealth(volume, log, emit)
      const drain = (ms: number) => drainInner(volume, ms)
      const flusher = createFlusher({ fd: volume.fd, limitMs, everyMs, log, emit, health, drain })
      const activity = keepActivity(volume.history, hooks)
      const usage = () => {
        health.lookAtSize()
        return readUsage(volume.fd, volume.ownBytes)
      }
      const fullness = watchFullness(usage, log, emit)
      mounted = { volume, flusher, health, fullness, activity }
      emitMounted(volume, log, emit)
    } catch (error) {
      const failure = asGuestdError(error)
      mismatch = failure.code === 'session_mismatch' ? failure : null
      const { message } = failure
      if (message !== reason) {
        log.error({ path, reason: message }, 'the workspace is not there')
        emit({ type: 'workspace_unavailable', reason: message })
      }
      reason = message
      // Nobody but its own session may have it, and that one asks for it.
      if (!isEnding && mismatch === null) retry = setTimeout(tryToMount, RETRY_MS).unref()
    }
  }
  const tryToMount = () => {
    clearTimeout(retry)
    if (mounted === null) attempt = mount()
  }
  const waits = settings.requireSession && owner === null
  if (waits) reason = WAITS_FOR_SESSION
  let attempt = waits ? Promise.resolve() : mount()

  const absent = () => unavailable(`the workspace ${path}: ${reason}`)

  const letGo = async (volume: Volume) => {
    closeSync(volume.fd)
    await stored.drop()
  }

  return {
    path,
    attempted: Promise.race([
      attempt,
      new Promise(resolve => setTimeout(resolve, START_WAIT_MS).unref()),
    ]),
    state() {
      const usage = mounted?.fullness.usage() ?? null
      const why = mounted === null ? reason : (refused ?? mounted.health.look())
      return {
        path,
        ok: why === null,
        reason: why,
        device: mounted?.volume.device.path ?? null,
        sessionId: mounted?.volume.history.sessionId ?? null,
        capEnforcement: 'kernel',
        enforcedFor: mounted?.volume.hasReserve ? 'users' : 'everyone',
        usage,
      }
    },
    code() {
      if (refused !== null || mismatch !== null) return 'session_mismatch'
      if (mounted !== null) return mounted.health.look() === null ? null : 'workspace_failed'
      if (reason === WAITS_FOR_SESSION) return 'waiting_for_session'
      return reason === BEING_MOUNTED ? 'starting' : 'workspace_unavailable'
    },
    async largest(count) {
      if (mounted === null) throw absent()
      return await readTop(path, { fd: mounted.volume.fd, count, limitMs: TOP_LIMIT_MS })
    },
    history: () => mounted?.volume.history ?? kept,
    fullSince: time => mounted?.fullness.fullSince(time) ?? null,
    admit(cwd) {
      if (mounted === null && isBelow(cwd, path)) throw absent()
      // A command may write there from anywhere.
      if (refused !== null) throw new GuestdError('session_mismatch', refused)
    },
    // The kernel refuses writers, and commands have to be able to make room.
    room: async () => {},
    async bind(given) {
      const before = owner
      owner = given
      clearTimeout(retry)
      // One that is under way began without it.
      await attempt
      if (mounted === null && !isEnding) {
        tryToMount()
        await attempt
      }
      try {
        if (mismatch !== null) throw mismatch
        const failure = await mounted?.volume.history.bind(given)
        if (failure) log.warn({ reason: failure }, 'the mark learns whose it is at the stop')
        refused = null
      } catch (error) {
        owner = before
        const failure = asGuestdError(error)
        if (mounted === null || failure.code !== 'session_mismatch') throw error
        const { message } = failure
        if (message !== refused) {
          log.error({ path, reason: message }, 'the workspace takes no commands')
          emit({ type: 'workspace_unavailable', reason: message })
        }
        refused = message
        throw new GuestdError('session_mismatch', `${message}; ${MOUNTED_ALREADY}`, { field: 'id' })
      }
    },
    async flush() {
      if (mounted === null) throw absent()
      const { volume, flusher } = mounted
      const began = performance.now()
      const { dirtyBytes, flushMs, uncovered } = await flusher.flush()
      return {
        ...receiptOf(volume, [...flusher.errors, ...uncovered]),
        dirtyBytes,
        flushMs,
        ms: Math.round(performance.now() - began),
      }
    },
    async end(report, why) {
      isEnding = true
      cancelled.abort()
      clearTimeout(retry)
      await attempt
      const ending = mounted
      mounted = null
      if (ending === null) return { ...receiptOf(null, []), outcome: 'none' }
      reason = 'it is being unmounted'
      const { volume, flusher, fullness, activity } = ending
      kept = volume.history
      fullness.stop()
      await activity.stop()
      const receipt = await unmountVolume(volume, {
        flusher,
        letGo: () => letGo(volume),
        limitMs,
        report,
        why,
        lastActivity: hooks.lastActivity(),
      })
      reason = 'it has been unmounted'
      return receipt
    },
    endsWithinMs: limitMs + AFTER_FLUSH_MS,
  }
}

/** A descriptor that another mount left says nothing of this one. */
async function forget({ fd, drop }: StoredFd): Promise<void> {
  if (fd === null) return
  closeSync(fd)
  await drop()
}

function receiptOf(volume: Volume | null, errors: readonly string[]): Receipt {
  return {
    at: new Date().toISOString(),
    generation: volume?.history.generation ?? null,
    device: volume?.device.path ?? null,
    outcome: 'flush',
    dirtyBytes: 0,
    flushMs: 0,
    ms: 0,
    errorsSince: volume?.errorsSince ?? 'mount',
    errors: [...errors],
    heldBy: null,
    clean: errors.length === 0,
  }
}
