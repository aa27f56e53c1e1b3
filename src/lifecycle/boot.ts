/** This boot of the machine, and when guestd was first started in it. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bootId } from './machine.ts'

export interface Boot {
  readonly id: string
  /** guestd has been started before in this boot. */
  readonly restarted: boolean
  /** When it was started first: of `performance.now()` of this process, so below 0 after a restart. */
  readonly firstStartAt: number
}

const FILE = 'boot.json'
const NS_PER_MS = 1e6

/** @param failed told where the start could not be written down: the next guestd begins anew */
export function openBoot(runDir: string, failed: (error: unknown) => void): Boot {
  const id = bootId()
  const path = join(runDir, FILE)
  const kept = readKept(path, id)
  const now = monotonicMs()
  if (kept === null) {
    try {
      writeFileSync(`${path}.next`, JSON.stringify({ bootId: id, firstStartMs: now }))
      renameSync(`${path}.next`, path)
    } catch (error) {
      failed(error)
    }
  }
  const first = Math.min(kept ?? now, now)
  return { id, restarted: kept !== null, firstStartAt: performance.now() - (now - first) }
}

/** CLOCK_MONOTONIC: of the machine, the same in every process. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS
}

function readKept(path: string, id: string): number | null {
  try {
    const { bootId: of, firstStartMs } = JSON.parse(readFileSync(path, 'utf8'))
    return of === id && typeof firstStartMs === 'number' ? firstStartMs : null
  } catch {
    // There is none yet, or what is there is of no use.
    return null
  }
}
