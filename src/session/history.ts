/** A volume's life over its sessions, as its mark tells it. */
import type { Receipt } from '../protocol/schemas.ts'
import type { Mark } from '../protocol/volume/mark.ts'
import type { Ext4 } from '../protocol/volume/superblock.ts'
import type { BlockDevice } from '../sys/block-devices.ts'
import { HelperError } from '../sys/helper.ts'
import { type MarkPlace, openMark } from './mark.ts'
import { checkOwner, type Owner } from './owner.ts'
import { recoverVolume } from './recover.ts'

export interface History {
  /** How many times the volume has been started, this time included; `null` without a mark. */
  readonly generation: number | null
  /** It has been used before. */
  readonly resumed: boolean
  /** What was done as it had not been left clean; empty where it had. */
  readonly recovery: readonly string[]
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
  /** Tells the mark when somebody last worked; nothing where there is none. @throws HelperError */
  worked(lastActivityAt: string): Promise<void>
  /** Tells the mark how it is left; nothing where there is none. */
  leave(receipt: Receipt, lastActivityAt: string): Promise<void>
  /** The volume could not be mounted: its mark is as it was. */
  undo(): Promise<void>
}

/**
 * Begins a generation, on a device that nobody uses: what was not left clean is mended first, and
 * that it is in use is durable before anybody can write.
 *
 * @param owner `null`: nobody has said whose it is to be
 * @throws GuestdError `session_mismatch` (nothing was written), `workspace_unavailable`, HelperError
 */
export async function beginGeneration(
  device: BlockDevice,
  ext4: Ext4,
  owner: Owner | null,
): Promise<History> {
  const place = await openMark(device, ext4)
  const before = place?.mark ?? null
  checkOwner(before, owner)
  const leftClean = ext4.clean && !ext4.hasErrors && before?.state !== 'inUse'
  const recovery = leftClean ? [] : [await recoverVolume(device.path)]
  const generation = (before?.generation ?? 0) + 1
  const lastActivityAt = new Date().toISOString()
  const mark: Content = {
    ...(before ?? NEW),
    ...owner,
    generation,
    state: 'inUse',
    lastActivityAt,
  }
  await place?.write(mark)
  return historyOf(place, mark, before, recovery)
}

/** Goes on with a generation that a daemon before this one began. */
export async function continueGeneration(
  device: BlockDevice,
  ext4: Ext4,
  owner: Owner | null,
): Promise<History> {
  const place = await openMark(device, ext4)
  const mark = place?.mark ?? null
  checkOwner(mark, owner)
  const generation = mark?.generation ?? 0
  const before = mark === null ? null : { ...mark, generation: generation - 1 }
  return historyOf(place, { ...(mark ?? NEW), generation, state: 'inUse' }, before, [])
}

type Content = Parameters<MarkPlace['write']>[0]

const NEW = { sessionId: null, runtimeVersion: null, receipt: null } as const

function historyOf(
  place: MarkPlace | null,
  first: Content,
  before: Mark | null,
  recovery: readonly string[],
): History {
  /** As it should be: what could not be written goes with the next write. */
  let mark = first
  let last: Promise<unknown> = Promise.resolve()

  /** One after the other: they take the two slots in turn. */
  const put = (change: Partial<Content>): Promise<void> => {
    mark = { ...mark, ...change }
    const written = last.then(() => place?.write(mark))
    last = written.catch(() => {})
    return written
  }

  return {
    generation: place === null ? null : mark.generation,
    resumed: (before?.generation ?? 0) > 0,
    recovery,
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
    worked: lastActivityAt => put({ lastActivityAt }),
    leave: (receipt, lastActivityAt) =>
      put({ state: receipt.clean ? 'clean' : 'inUse', receipt, lastActivityAt }),
    async undo() {
      await place?.write({ ...(before ?? { ...NEW, generation: 0, state: 'clean' }) })
    },
  }
}
