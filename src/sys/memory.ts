/** How much memory guestd itself takes. */
import { setFlagsFromString } from 'node:v8'
import { native } from './native.ts'

/**
 * Has V8 keep its young generation at the size that the start has made it, 8 MiB. Under a load of short commands it
 * would let it grow to 32 MiB.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}

/** Gives memory that is free already back to the machine. Takes some milliseconds. */
export function trimMemory(): void {
  native.trimMemory()
}
