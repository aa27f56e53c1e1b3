/** A mounted volume with what works on it: flushes, health, usage, and the time of the last activity. */
import { closeSync } from 'node:fs'
import { type ActivityKeeper, keepActivity } from './activity-mark.ts'
import { type Health, watchHealth } from './file-system-health.ts'
import { innerLoopsOf } from './flush-loops.ts'
import { createFlusher, type Flusher } from './flusher.ts'
import { type Fullness, watchFullness } from './fullness.ts'
import { STORED_FD_LIMIT_MS } from './stop-budget.ts'
import type { StoredFd, Volume, WorkspaceHooks } from './types.ts'
import { type UnmountOptions, unmountVolume } from './unmount.ts'
import { readUsage } from './usage.ts'

export interface MountedVolume {
  readonly volume: Volume
  readonly flusher: Flusher
  readonly health: Health
  readonly fullness: Fullness
  /** Stops the timers and unmounts. Never fails. */
  end(options: Omit<UnmountOptions, 'flusher' | 'letGo'>): ReturnType<typeof unmountVolume>
}

export interface FlushSettings {
  /** Limit of one flush, in milliseconds. */
  readonly flushLimitMs: number
  /** How often guestd looks for dirty pages to write out, in milliseconds; 0: never. */
  readonly flushEveryMs: number
}

/** Stores the descriptor of the volume, and starts what works on it. */
export async function startVolume(
  volume: Volume,
  { flushLimitMs: limitMs, flushEveryMs: everyMs }: FlushSettings,
  stored: StoredFd,
  hooks: WorkspaceHooks,
): Promise<MountedVolume> {
  const { log, emit } = hooks
  const { fd } = volume
  if (fd !== stored.fd) {
    await forget(stored)
    stored.keep(fd)
  }
  const health = watchHealth(volume, log, emit)
  const inner = innerLoopsOf(volume)
  const flusher = createFlusher({ fd, limitMs, everyMs, log, emit, health, inner })
  const activity: ActivityKeeper = keepActivity(volume.history, hooks)
  const usage = () => {
    health.lookAtSize()
    return readUsage(fd, volume.ownBytes)
  }
  const fullness = watchFullness(usage, log, emit)
  const letGo = async (dropLimitMs: number) => {
    closeSync(fd)
    await stored.drop(dropLimitMs)
  }
  return {
    volume,
    flusher,
    health,
    fullness,
    async end(options) {
      fullness.stop()
      activity.stop()
      return await unmountVolume(volume, { ...options, flusher, letGo })
    },
  }
}

/** Drops a descriptor of another mount: it has not seen the errors of this one. */
async function forget({ fd, drop }: StoredFd): Promise<void> {
  if (fd === null) return
  closeSync(fd)
  await drop(STORED_FD_LIMIT_MS)
}
