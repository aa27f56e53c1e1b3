/** This boot of the machine, and the first start of guestd in it. */
import type { Static } from 'typebox'
import * as Type from 'typebox'
import { bootId } from '../sys/boot-id.ts'
import { bootFile } from './boot-file.ts'

export interface Boot {
  readonly id: string
  /** guestd was started before in this boot. */
  readonly restarted: boolean
  /** When the first start was, a `performance.now()` time of this process: below 0 after a restart. */
  readonly firstStartAt: number
  /** Writes it again, after `runDir` was lost. @throws if it cannot be written */
  save(): void
}

const StoredBoot = Type.Object({
  /** When guestd was first started, by CLOCK_MONOTONIC. */
  firstStartMs: Type.Number(),
})

const FILE = 'boot.json'
const NS_PER_MS = 1e6

/** @param failed called if the time could not be written: the lifetime then begins again with the next guestd */
export function openBoot(runDir: string, failed: (error: unknown) => void): Boot {
  const id = bootId()
  const file = bootFile<Static<typeof StoredBoot>>(runDir, FILE, id, StoredBoot)
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

/** CLOCK_MONOTONIC in milliseconds: the same in every process of the machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS
}
