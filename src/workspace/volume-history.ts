/** The history of a volume over its sessions, as stored in its mark. */
import type { Receipt } from '../protocol/schemas.ts'
import type { BlockDevice } from '../sys/block-devices.ts'
import { HelperError } from '../sys/helper.ts'
import { createSerialQueue } from '../util/serial-queue.ts'
import {
  type ActivityTime,
  activityMembers,
  activityOf,
  laterActivity,
} from '../volume/activity-time.ts'
import { checkFormatter, format, planAgain } from '../volume/format.ts'
import type { Mark, PendingFormat, Reset } from '../volume/mark.ts'
import { type MarkPlace, openMark } from '../volume/mark-io.ts'
import { checkOwner, type Owner } from '../volume/owner.ts'
import { recoverVolume } from '../volume/recover.ts'
import { judge, type RetentionSettings, type Verdict } from '../volume/retention.ts'
import type { Ext4 } from '../volume/superblock.ts'
import { unavailable } from '../volume/unavailable.ts'

export interface History {
  /** The session that owns it, by its mark; `null`: it has no owner yet, or no mark. */
  readonly sessionId: string | null
  /** Number of starts of the volume, including this one; `null`: it has no mark. */
  readonly generation: number | null
  /** It has been used before, and has kept its content. */
  readonly resumed: boolean
  /** How it was repaired; empty if it had been left clean. */
  readonly recovery: readonly string[]
  /** It had no activity for longer than `retentionMs`. */
  readonly expired: boolean
  /** Why it was started empty; `null`: it was not. */
  readonly reset: Reset | null
  /** Why it was kept although it has expired and `onExpired` is `reset`; `null` otherwise. */
  readonly keptBecause: string | null
  /** Size of the file system that was made on a blank device, in bytes; `null`: it was not blank. */
  readonly formattedBytes: number | null
  /** How the previous session left it; `null`: not known. */
  readonly lastStop: Receipt | null
  /**
   * Assigns it to a session. A kernel may forbid writes to the device of a mounted file system
   * (CONFIG_BLK_DEV_WRITE_MOUNTED=n, EBUSY): then the mark gets the owner at the stop.
   *
   * @returns why the mark could not be written; `null`: it was written, or there is no mark
   * @throws GuestdError `session_mismatch`
   */
  bind(owner: Owner): Promise<string | null>
  /** Writes the last activity to the mark, if there is a mark. @throws HelperError */
  worked(last: ActivityTime): Promise<void>
  /**
   * Writes to the mark how the volume is left, if there is a mark.
   *
   * @param deadline a `performance.now()` time
   * @throws HelperError
   */
  leave(receipt: Receipt, last: ActivityTime, deadline: number): Promise<void>
  /** The last activity as the mark will have it, or has it after {@link History.leave}. */
  lastActivity(now: ActivityTime): ActivityTime
  /** Restores the earlier mark, after a mount that failed. */
  undo(): Promise<void>
}

/** A volume before it is mounted. */
export interface Start {
  readonly device: BlockDevice
  /** `null`: there is no intact file system. One will be made, or its format was interrupted. */
  readonly ext4: Ext4 | null
  /** Where the file system ends or will end, and the mark begins, in bytes. */
  readonly end: number
  /** For a blank device; `null` otherwise. */
  readonly plan: PendingFormat | null
}

/**
 * Begins a generation, on a device that is not in use. It first repairs a volume that was not left clean. The mark says
 * `inUse`, durably, before any process can write to the volume.
 *
 * A volume that is started empty is formatted. The mark has the pending format, durably, from before the first changed byte
 * until after the last one: if the machine is lost in between, the next start formats again.
 *
 * @param owner `null`: the session is not known yet
 * @param times of this start: `now` for the mark; `earliest` decides whether the volume has expired
 * @param cancel cancels a running check when it is aborted
 * @throws GuestdError `session_mismatch` (nothing was written), `workspace_unavailable`; HelperError
 */
export async function beginGeneration(
  { device, ext4, end, plan }: Start,
  owner: Owner | null,
  settings: RetentionSettings & { readonly requireSession: boolean },
  { now, earliest }: { readonly now: ActivityTime; readonly earliest: ActivityTime },
  cancel: AbortSignal,
): Promise<{ readonly history: History; readonly ext4: Ext4 }> {
  const place = await openMark(device, end)
  const before = place?.mark ?? null
  checkOwner(before, owner)
  if (settings.requireSession && ext4 !== null) checkMarked(device, ext4, place)
  const verdict = judge(before, owner, settings, earliest)
  const again = ext4 === null || verdict.reset === null ? plan : planAgain(ext4, verdict.reset)
  const pending = before?.pending ?? again
  const { expired, keptBecause } = verdict
  const began = pending === null ? { expired, reset: null } : beganBy(pending, verdict)
  // An interrupted format was not a complete start.
  const generation = (before?.generation ?? 0) + (before?.pending === undefined ? 1 : 0)
  const known = laterActivity(activityOf(before), now)
  const mark: Content = {
    ...(before ?? NEW),
    ...owner,
    generation,
    state: 'inUse',
    ...activityMembers(known),
    began,
    pending: undefined,
  }
  if (pending !== null && place !== null) {
    // mke2fs ignores multiple mount protection. e2fsck finds another host.
    if (ext4?.mmp) await recoverVolume(device.path, cancel)
    await checkFormatter(device)
    if (before?.pending === undefined) await place.write({ ...mark, pending })
    const made = await format(device, pending)
    await place.write(mark)
    const formattedBytes = pending.why === 'blank' ? made.bytes : null
    return { history: historyOf(place, mark, before, { known, formattedBytes }), ext4: made }
  }
  if (ext4 === null) throw unavailable(`${device.path} has no file system`)
  const leftClean = ext4.clean && !ext4.hasErrors && before?.state !== 'inUse'
  const recovery = leftClean ? [] : [await recoverVolume(device.path, cancel)]
  await place?.write(mark)
  return { history: historyOf(place, mark, before, { known, recovery, keptBecause }), ext4 }
}

/**
 * With `requireSession`, a used volume without a known owner is refused.
 *
 * @throws GuestdError `workspace_unavailable`
 */
function checkMarked({ path }: BlockDevice, { used }: Ext4, place: MarkPlace | null): void {
  if (place !== null && (place.mark !== null || !used)) return
  const why = place === null ? 'has no place for a mark' : 'has been used, but has no readable mark'
  throw unavailable(
    `${path} ${why}, so it is not known whose it is; 'guestctl volume adopt FILE --session ID' on the host gives it to a session`,
  )
}

function beganBy({ why }: PendingFormat, { expired }: Verdict): NonNullable<Mark['began']> {
  return why === 'blank' ? { expired: false, reset: null } : { expired, reset: why }
}

/** Continues a generation that an earlier guestd has begun. */
export async function continueGeneration(
  device: BlockDevice,
  ext4: Ext4,
  owner: Owner | null,
): Promise<History> {
  const place = await openMark(device, ext4.bytes)
  const mark = place?.mark ?? null
  checkOwner(mark, owner)
  const generation = mark?.generation ?? 0
  const before = mark === null ? null : { ...mark, generation: generation - 1 }
  const known = activityOf(mark)
  return historyOf(place, { ...(mark ?? NEW), generation, state: 'inUse' }, before, { known })
}

type Content = Parameters<MarkPlace['write']>[0]

const NEW = { sessionId: null, runtimeVersion: null, receipt: null } as const

interface Facts extends Partial<Pick<History, 'recovery' | 'formattedBytes' | 'keptBecause'>> {
  /** The last activity in the mark; `null`: none. */
  readonly known: ActivityTime | null
}

function historyOf(
  place: MarkPlace | null,
  first: Content,
  before: Mark | null,
  facts: Facts,
): History {
  const { recovery = [], formattedBytes = null, keptBecause = null } = facts
  /** The last activity in the mark is never earlier. */
  let { known } = facts
  /** As in the mark after the stop; `null` before. */
  let left: ActivityTime | null = null
  /** The intended mark: a change that could not be written is part of the next write. */
  let mark = first
  /** Writes use the two slots in turn. */
  const queue = createSerialQueue()

  const put = (change: Partial<Content>, deadline?: number): Promise<void> => {
    mark = { ...mark, ...change }
    return queue(() => place?.write(mark, deadline))
  }

  return {
    get sessionId() {
      return place === null ? null : mark.sessionId
    },
    generation: place === null ? null : mark.generation,
    resumed: mark.generation > 1 && (mark.began?.reset ?? null) === null,
    recovery,
    expired: mark.began?.expired ?? false,
    reset: mark.began?.reset ?? null,
    keptBecause,
    formattedBytes,
    lastStop: before?.receipt ?? null,
    async bind(owner) {
      if (place !== null) checkOwner(mark, owner)
      const { sessionId, runtimeVersion } = mark
      if (sessionId === owner.sessionId && runtimeVersion === owner.runtimeVersion) return null
      try {
        await put(owner)
        return null
      } catch (error) {
        if (error instanceof HelperError) return error.message
        throw error
      }
    },
    worked(now) {
      known = laterActivity(known, now)
      return put(activityMembers(known))
    },
    leave(receipt, now, deadline) {
      left = laterActivity(known, now)
      const state = receipt.clean ? 'clean' : 'inUse'
      return put({ state, receipt, ...activityMembers(left) }, deadline)
    },
    lastActivity: now => left ?? laterActivity(known, now),
    async undo() {
      const unused = { ...NEW, generation: 0, state: 'clean' } as const
      // A file system that was made in the meantime is complete.
      await place?.write({ ...(before ?? unused), pending: undefined })
    },
  }
}
