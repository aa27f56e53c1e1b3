/** How much memory guestd itself takes. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { native } from './native.ts'

/** Of both halves, in bytes. Half of it doubles how often V8 collects garbage, and what it promotes too early. */
const YOUNG_GENERATION_BYTES = 8 * 1024 * 1024
/** The size at V8's start and after it has shrunk. The figure is smaller until V8 has used all of it. */
const FIRST_BYTES = 2 * 1024 * 1024
/** How often the size is looked at while it grows, in milliseconds. */
const LOOK_MS = 1_000

let isGrowing = true
let growing: NodeJS.Timeout | undefined

/** Has V8 grow its young generation to 8 MiB in one step, while guestd's code is evaluated. Called before that. */
export function sizeYoungGeneration(): void {
  const bytes = Math.max(FIRST_BYTES, youngGenerationBytes())
  const factor = Math.max(1, Math.floor(YOUNG_GENERATION_BYTES / bytes))
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}

/**
 * Has V8 keep its young generation at 8 MiB, once it has grown to that: under a load of short commands V8 would let it
 * grow to 32 MiB. Looks now, and once a second until then, or until {@link releaseMemory}. Afterwards it does nothing.
 */
export function keepYoungGenerationSmall(): void {
  if (!isGrowing) return
  clearTimeout(growing)
  isGrowing = !limitYoungGeneration()
  if (isGrowing) growing = setTimeout(keepYoungGenerationSmall, LOOK_MS).unref()
}

/** Ends the growth once it has come to 8 MiB. @returns whether it has */
function limitYoungGeneration(): boolean {
  // One step from any size leads to more than half of the limit, and not above it.
  const isGrown = youngGenerationBytes() > YOUNG_GENERATION_BYTES / 2
  if (isGrown) setFlagsFromString('--semi-space-growth-factor=1')
  return isGrown
}

/**
 * Gives memory that is not needed back to the machine: collects all garbage, compacts V8's heap, shrinks its young
 * generation, and trims the heap of the C library. Blocks the event loop for some 50 ms, so that it is for times
 * without work. The work after it calls {@link keepYoungGenerationSmall} again and again.
 */
export function releaseMemory(): void {
  clearTimeout(growing)
  collectGarbage()
  native.trimMemory()
  sizeYoungGeneration()
  isGrowing = true
}

/** V8 compacts its heap by itself only when memory is short. Its `gc` exists in contexts made after the flag is set. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}

function youngGenerationBytes(): number {
  return (
    getHeapSpaceStatistics().find(one => one.space_name === 'new_space')?.space_size ??
    YOUNG_GENERATION_BYTES
  )
}
