/** A volume's life over its sessions, as its mark tells it. */
import type { Receipt } from '../protocol/schemas.ts'
import type { Mark } from '../protocol/volume/mark.ts'
import type { Ext4 } from '../protocol/volume/superblock.ts'
import type { BlockDevice } from '../sys/block-devices.ts'
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
  /** Whose it is from now on. @throws GuestdError `session_mismatch`, HelperError */
  bind(owner: Owner): Promise<void>
  /** Tells the mark how it is left; nothing where there is none. */
  leave(receipt: Receipt): Promise<void>
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
  await place?.write({ ...(before ?? NEW), ...owner, generation, state: 'inUse' })
  return historyOf(place, generation, before, recovery)
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
  return historyOf(place, generation, before, [])
}

const NEW = { sessionId: null, runtimeVersion: null, receipt: null } as const

function historyOf(
  place: MarkPlace | null,
  generation: number,
  before: Mark | null,
  recovery: readonly string[],
): History {
  return {
    generation: place === null ? null : generation,
    resumed: (before?.generation ?? 0) > 0,
    recovery,
    lastStop: before?.receipt ?? null,
    async bind(owner) {
      const mark = place?.mark ?? null
      checkOwner(mark, owner)
      const same =
        mark?.sessionId === owner.sessionId && mark.runtimeVersion === owner.runtimeVersion
      if (!same) await place?.write({ ...(mark ?? NEW), ...owner, generation, state: 'inUse' })
    },
    async leave(receipt) {
      const state = receipt.clean ? 'clean' : 'inUse'
      await place?.write({ ...(place.mark ?? NEW), generation, state, receipt })
    },
    async undo() {
      await place?.write({ ...(before ?? { ...NEW, generation: 0, state: 'clean' }) })
    },
  }
}
