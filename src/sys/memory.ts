/** Limits the memory of guestd itself. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { native } from './native.ts'

/** Size of both halves, in bytes. With half of it V8 collects garbage twice as often, and promotes more too early. */
const YOUNG_GENERATION_BYTES = 8 * 1024 * 1024
/** The size at the start of V8 and after it has shrunk. V8 reports less until it has used all of it. */
const FIRST_BYTES = 2 * 1024 * 1024
/** Interval of the checks while it grows, in milliseconds. */
const LOOK_MS = 1_000

let isGrowing = true
let growing: NodeJS.Timeout | undefined

/** Makes V8 grow its young generation to 8 MiB in one step. Call it before guestd's code is evaluated. */
export function sizeYoungGeneration(): void {
  const bytes = Math.max(FIRST_BYTES, youngGenerationBytes())
  const factor = Math.max(1, Math.floor(YOUNG_GENERATION_BYTES / bytes))
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}

/**
 * Stops the growth of the young generation at 8 MiB: with many short commands V8 would let it grow to 32 MiB. Checks now
 * and once a second, until it has stopped the growth or {@link releaseMemory} is called. After that it does nothing.
 */
export function keepYoungGenerationSmall(): void {
  if (!isGrowing) return
  clearTimeout(growing)
  isGrowing = !limitYoungGeneration()
  if (isGrowing) growing = setTimeout(keepYoungGenerationSmall, LOOK_MS).unref()
}

/** Stops the growth when the size is 8 MiB. @returns whether it has stopped it */
function limitYoungGeneration(): boolean {
  // One step from any size leads to more than half of the limit, and never above it.
  const isGrown = youngGenerationBytes() > YOUNG_GENERATION_BYTES / 2
  if (isGrown) setFlagsFromString('--semi-space-growth-factor=1')
  return isGrown
}

/**
 * Gives unused memory back to the machine: collects all garbage, compacts the heap of V8, shrinks its young generation,
 * and trims the heap of the C library. It blocks the event loop for about 50 ms, so call it only while guestd is idle.
 * After it, call {@link keepYoungGenerationSmall} regularly.
 */
export function releaseMemory(): void {
  clearTimeout(growing)
  collectGarbage()
  native.trimMemory()
  sizeYoungGeneration()
  isGrowing = true
}

/** V8 itself compacts its heap only when memory is short. Contexts that are created after the flag is set have a `gc`. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}

function youngGenerationBytes(): number {
  return (
    getHeapSpaceStatistics().find(space => space.space_name === 'new_space')?.space_size ??
    YOUNG_GENERATION_BYTES
  )
}
