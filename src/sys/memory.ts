/** How much memory guestd itself takes. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { native } from './native.ts'

/** Of both halves, in bytes. Half of it doubles how often V8 collects garbage, and what it promotes too early. */
const YOUNG_GENERATION_BYTES = 8 * 1024 * 1024
/** As V8 begins; until it has used all of it, less counts. */
const FIRST_BYTES = 2 * 1024 * 1024
/** How often it is looked whether it has grown, in milliseconds. */
const LOOK_MS = 1_000

/**
 * Has V8 grow its young generation to 8 MiB in one step, while guestd's code is evaluated. Called before that.
 */
export function sizeYoungGeneration(): void {
  const bytes = Math.max(FIRST_BYTES, youngGenerationBytes())
  const factor = Math.max(1, Math.floor(YOUNG_GENERATION_BYTES / bytes))
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}

/** Has V8 keep its young generation at 8 MiB. Under a load of short commands it would let it grow to 32 MiB. */
export function keepYoungGenerationSmall(): void {
  if (youngGenerationBytes() >= YOUNG_GENERATION_BYTES)
    setFlagsFromString('--semi-space-growth-factor=1')
  else setTimeout(keepYoungGenerationSmall, LOOK_MS).unref()
}

function youngGenerationBytes(): number {
  return (
    getHeapSpaceStatistics().find(one => one.space_name === 'new_space')?.space_size ??
    YOUNG_GENERATION_BYTES
  )
}

/** Gives memory that is free already back to the machine. Takes some milliseconds. */
export function trimMemory(): void {
  native.trimMemory()
}
