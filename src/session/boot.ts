/** This boot of the machine, and when guestd was first started in it. */

import { bootId } from '../sys/boot-id.ts'
import { bootFile } from './boot-file.ts'
import { isBoot } from './kept-shapes.ts'

export interface Boot {
  readonly id: string
  /** guestd has been started before in this boot. */
  readonly restarted: boolean
  /** When it was started first: of `performance.now()` of this process, so below 0 after a restart. */
  readonly firstStartAt: number
  /** Writes it once more, as after `runDir` was lost. @throws where it cannot be written */
  save(): void
}

interface Kept {
  /** Of CLOCK_MONOTONIC. */
  readonly firstStartMs: number
}

const FILE = 'boot.json'
const NS_PER_MS = 1e6

/** @param failed told where the start could not be written down: the next guestd begins anew */
export function openBoot(runDir: string, failed: (error: unknown) => void): Boot {
  const id = bootId()
  const file = bootFile<Kept>(runDir, FILE, id, isBoot)
  const kept = file.read()
  const now = monotonicMs()
  if (kept === null) {
    try {
      file.write({ firstStartMs: now })
    } catch (error) {
      failed(error)
    }
  }
  const first = Math.min(kept?.firstStartMs ?? now, now)
  return {
    id,
    restarted: kept !== null,
    firstStartAt: performance.now() - (now - first),
    save: file.save,
  }
}

/** CLOCK_MONOTONIC: of the machine, the same in every process. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS
}
