/** When a folder is walked: after changes, from time to time, and on request; each walk is followed by a pause. */
import { createSharedRun } from '../util/shared-run.ts'

export interface WalkSchedule {
  /** Walks now. During a walk it resolves after the next one, as the current one may have missed a change. */
  walk(): Promise<void>
  /** Something in the folder has changed. */
  changed(): void
  stop(): void
}

export interface WalkCost {
  /** Processor time of the walk, in milliseconds. */
  readonly cpuMs: number
  /** When to walk again if nothing changes, in milliseconds. */
  readonly idleMs: number
}

/** The start of guestd does not wait for the first walk, in milliseconds, unless a command comes. */
const FIRST_WALK_MS = 250
/** Writers seldom stop after one file, in milliseconds. */
const SETTLE_MS = 100
/** Shortest pause after a walk, in ms. */
const LEAST_PAUSE_MS = 250
/** The pause is at least this multiple of the walk's processor time: walks take at most 5 % of a processor. */
const PAUSE_PER_CPU = 19
/** The pause is at least this multiple of the walk's duration: a slow disk is idle for most of the time. */
const PAUSE_PER_TIME = 4

/** The pause after a walk, in milliseconds. Pure. */
export function pauseAfter(cpuMs: number, durationMs: number): number {
  return Math.max(LEAST_PAUSE_MS, cpuMs * PAUSE_PER_CPU, durationMs * PAUSE_PER_TIME)
}

/** @param walkOnce never fails */
export function createWalkSchedule(walkOnce: () => Promise<WalkCost>): WalkSchedule {
  const runs = createSharedRun<void>()
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  /** Something has changed during the walk. */
  let isStale = false
  let mayWalkAt = 0
  let dueAt = 0

  const schedule = (at: number) => {
    if (isStopped) return
    dueAt = at
    clearTimeout(timer)
    timer = setTimeout(() => void walk(), Math.max(0, at - performance.now())).unref()
  }
  const walkNow = async () => {
    clearTimeout(timer)
    isStale = false
    const began = performance.now()
    const { cpuMs, idleMs } = await walkOnce()
    const now = performance.now()
    const pauseMs = pauseAfter(cpuMs, now - began)
    mayWalkAt = now + pauseMs
    schedule(now + (isStale ? pauseMs : Math.max(pauseMs, idleMs)))
  }
  const walk = () => runs.run(walkNow)

  schedule(performance.now() + FIRST_WALK_MS)
  return {
    walk,
    changed() {
      isStale = true
      const at = Math.max(mayWalkAt, performance.now() + SETTLE_MS)
      if (!runs.isRunning && at < dueAt) schedule(at)
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
