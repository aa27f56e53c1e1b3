/**
 * The workspace on a device. A device that is missing or broken never ends guestd: guestd looks for it again and again,
 * and replies with the reason.
 */
import { GuestdError } from '../errors.ts'
import type { Receipt, WorkspaceInfo } from '../protocol/schemas.ts'
import { sleep } from '../util/sleep.ts'
import type { Owner } from '../volume/owner.ts'
import { isBelow, unavailable } from '../volume/unavailable.ts'
import { findLargest, LARGEST_LIMIT_MS } from './find-largest.ts'
import { createMountDriver, type MountDriver } from './mount-driver.ts'
import { mountReason, mountReasonCode } from './mount-reason.ts'
import { mountVolume } from './mount-volume.ts'
import { startVolume } from './mounted-volume.ts'
import { volumeReceipt } from './new-receipt.ts'
import type { Source } from './source.ts'
import { stopParts, totalMs } from './stop-budget.ts'
import type { StoredFd, Workspace, WorkspaceHooks, WorkspaceSettings } from './types.ts'
import type { History } from './volume-history.ts'

/** A mount that takes longer, as with a long journal, continues while guestd serves, in milliseconds. */
const START_WAIT_MS = 3_000

/** Resolves after the first attempt to mount, or after 3 s. */
export async function openDevice(
  source: Exclude<Source, { kind: 'folder' }>,
  settings: WorkspaceSettings,
  owner: Owner | null,
  stored: StoredFd,
  hooks: WorkspaceHooks,
): Promise<Workspace> {
  const { workspaceMount: path } = settings
  const parts = stopParts(settings.flushLimitMs)
  /** Kept after the unmount. */
  let history: History | null = null
  const driver = createMountDriver({
    path,
    waits: settings.requireSession && owner === null,
    owner,
    stopParts: parts,
    hooks,
    mount: async (current, cancel) => {
      const { now, earliest } = hooks
      const session = { owner: current, storedFd: stored.fd, now, earliest, cancel }
      const volume = await mountVolume({ ...settings, ...session, source, path })
      history = volume.history
      return await startVolume(volume, settings, stored, hooks)
    },
  })
  const workspace = workspaceOf(path, driver, () => history, totalMs(parts))
  await Promise.race([driver.attempt, sleep(START_WAIT_MS, { ref: false })])
  return workspace
}

function workspaceOf(
  path: string,
  driver: MountDriver,
  history: () => History | null,
  endsWithinMs: number,
): Workspace {
  const reason = () => mountReason(driver.state) ?? driver.mounted?.health.look() ?? null
  const absent = () => unavailable(`the workspace ${path}: ${mountReason(driver.state)}`)
  return {
    path,
    state() {
      // First: it compares the size of the file system, which may be the reason.
      const usage = driver.mounted?.fullness.usage() ?? null
      return { ...infoOf(path, driver.mounted), ...stateOf(reason()), usage }
    },
    code() {
      const code = mountReasonCode(driver.state)
      if (code !== null) return code
      return reason() === null ? null : 'workspace_failed'
    },
    async largest(count) {
      if (driver.mounted === null) throw absent()
      const { fd } = driver.mounted.volume
      return await findLargest(path, { fd, count, limitMs: LARGEST_LIMIT_MS })
    },
    history,
    fullSince: time => driver.mounted?.fullness.fullSince(time) ?? null,
    admit(cwd) {
      const { state } = driver
      if (driver.mounted === null && isBelow(cwd, path)) throw absent()
      // A command can write to the workspace from any working directory.
      if (state.name === 'refused') throw new GuestdError('session_mismatch', state.failure.message)
    },
    // The kernel enforces the cap, and commands have to be able to make room.
    room: async () => {},
    bind: driver.bind,
    async flush() {
      if (driver.mounted === null) throw absent()
      return await flushVolume(driver.mounted)
    },
    end: driver.end,
    endsWithinMs,
  }
}

const stateOf = (reason: string | null) => ({ ok: reason === null, reason })

function infoOf(
  path: string,
  mounted: MountDriver['mounted'],
): Omit<WorkspaceInfo, 'ok' | 'reason' | 'usage'> {
  const volume = mounted?.volume
  return {
    path,
    device: volume?.device.path ?? null,
    sessionId: volume?.history.sessionId ?? null,
    capEnforcement: 'kernel',
    enforcedFor: volume?.hasReserve ? 'users' : 'everyone',
  }
}

async function flushVolume({
  volume,
  flusher,
}: NonNullable<MountDriver['mounted']>): Promise<Receipt> {
  const began = performance.now()
  const { dirtyBytes, flushMs, uncovered } = await flusher.flush()
  const receipt = volumeReceipt(volume, 'flush', [...flusher.errors, ...uncovered])
  return { ...receipt, dirtyBytes, flushMs, ms: Math.round(performance.now() - began) }
}
