/** A volume's life over its sessions, as its mark tells it. */
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
  /** Whose it is, by its mark; `null`: nobody's yet, or nobody knows. */
  readonly sessionId: string | null
  /** How many times the volume has been started, this time included; `null` without a mark. */
  readonly generation: number | null
  /** It has been used before, and what was left there is there. */
  readonly resumed: boolean
  /** What was done as it had not been left clean; empty where it had. */
  readonly recovery: readonly string[]
  /** Nobody had worked there for longer than it is kept. */
  readonly expired: boolean
  /** Why it was started empty; `null`: it was not. */
  readonly reset: Reset | null
  /** Why it was kept although it had expired and was to be started empty then; `null` otherwise. */
  readonly keptBecause: string | null
  /** It was blank, and got its file system now; in bytes. `null`: it was not. */
  readonly formattedBytes: number | null
  /** How the session before this one left it. */
  readonly lastStop: Receipt | null
  /**
   * Whose it is from now on. A kernel may not let the device of a mounted file system be written
   * (CONFIG_BLK_DEV_WRITE_MOUNTED=n, EBUSY): then the mark learns it at the end.
   *
   * @returns why the mark could not be written; `null`: it could, or there is none
   * @throws GuestdError `session_mismatch`
   */
  bind(owner: Owner): Promise<string | null>
  /** Writes the last activity to the mark, if there is a mark. @throws HelperError */
  worked(last: ActivityTime): Promise<void>
  /**
   * Writes to the mark how the volume is left, if there is a mark.
   *
   * @param deadline of `performance.now()`
   * @throws HelperError
   */
  leave(receipt: Receipt, last: ActivityTime, deadline: number): Promise<void>
  /** The last activity as the mark will have it, or has it after {@link History.leave}. */
  lastActivity(now: ActivityTime): ActivityTime
  /** Restores the earlier mark, after a mount that failed. */
  undo(): Promise<void>
}

/** A volume as it was found. */
export interface Start {
  readonly device: BlockDevice
  /** `null`: there is none, or none that is whole; then one is to be made, or was being made. */
  readonly ext4: Ext4 | null
  /** Where the file system ends, or is to end: there is the mark. In bytes. */
  readonly end: number
  /** For a device that was blank. */
  readonly plan: PendingFormat | null
}

/**
 * Begins a generation, on a device that nobody uses: what was not left clean is mended first, and
 * that it is in use is durable before anybody can write.
 *
 * A volume that is to be started empty is formatted anew. That it is, is durable before its first byte
 * changes, and until its last one has: if the machine dies in between, the next start does it again.
 *
 * @param owner `null`: nobody has said whose it is to be
 * @param times of this start: `now` for the mark; `earliest` decides whether the volume has expired
 * @param cancel aborted, a check that runs is cancelled
 * @throws GuestdError `session_mismatch` (nothing was written), `workspace_unavailable`, HelperError
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
  // A format that was cut off is a start that did not come about.
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
    // Multiple mount protection is no concern of mke2fs: e2fsck sees another host.
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
 * Where only its own session may have a volume, it is refused while it is not known whose it is.
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

/** Goes on with a generation that a daemon before this one began. */
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
  /** The last activity as the mark has it; `null`: it has none. */
  readonly known: ActivityTime | null
}

function historyOf(
  place: MarkPlace | null,
  first: Content,
  before: Mark | null,
  facts: Facts,
): History {
  const { recovery = [], formattedBytes = null, keptBecause = null } = facts
  /** The last activity in the mark never goes back behind it. */
  let { known } = facts
  /** As the mark has it at the end; `null` before. */
  let left: ActivityTime | null = null
  /** As it should be: what could not be written goes with the next write. */
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
      // What was made in the meantime is whole.
      await place?.write({ ...(before ?? unused), pending: undefined })
    },
  }
}
