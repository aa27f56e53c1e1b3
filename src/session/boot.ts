/** This boot of the machine, and when guestd was first started in it. */

import { bootId } from '../sys/boot-id.ts'
import { bootFile } from './boot-file.ts'
import { isBoot } from './stored-shapes.ts'

export interface Boot {
  readonly id: string
  /** guestd has been started before in this boot. */
  readonly restarted: boolean
  /** When it was started first: of `performance.now()` of this process, so below 0 after a restart. */
  readonly firstStartAt: number
  /** Writes it once more, as after `runDir` was lost. @throws where it cannot be written */
  save(): void
}

interface StoredBoot {
  /** Of CLOCK_MONOTONIC. */
  readonly firstStartMs: number
}

const FILE = 'boot.json'
const NS_PER_MS = 1e6

/** @param failed told where the start could not be written down: the next guestd begins anew */
export function openBoot(runDir: string, failed: (error: unknown) => void): Boot {
  const id = bootId()
  const file = bootFile<StoredBoot>(runDir, FILE, id, isBoot)
  const stored = file.read()
  const now = monotonicMs()
  if (stored === null) {
    try {
      file.write({ firstStartMs: now })
    } catch (error) {
      failed(error)
    }
  }
  const first = Math.min(stored?.firstStartMs ?? now, now)
  return {
    id,
    restarted: stored !== null,
    firstStartAt: performance.now() - (now - first),
    save: file.save,
  }
}

/** CLOCK_MONOTONIC: of the machine, the same in every process. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS
}
