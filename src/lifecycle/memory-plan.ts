/** How much memory output may take on this machine, and what commands leave to guestd for it. */
import type { Config } from '../config.ts'
import { MOST_RESERVED_SHARE } from '../sys/reserve.ts'

export interface MemoryPlan {
  readonly output: Pick<Config['output'], 'ringBytes' | 'totalBytes'>
  /** What all commands together leave to guestd and the system, in bytes; keepReserve bounds it. */
  readonly reserveBytes: number
  /** Whether output gets less than the settings say. */
  readonly isLowered: boolean
}

/**
 * Memory of guestd without output, and of a small Debian around it: 130 MiB, with the code of guestd in the page cache,
 * and what the heap grows by while eight commands write at full speed.
 */
const OWN_BYTES = 160 * 1024 * 1024
/** Of a small machine output gets this share, though little is left for the rest of guestd then. */
const LEAST_OUTPUT_SHARE = 1 / 16

/** @param memoryBytes of the machine, or what guestd and its commands may use of it */
export function planMemory(
  { output, reserve }: Pick<Config, 'output' | 'reserve'>,
  memoryBytes: number,
): MemoryPlan {
  const left = memoryBytes * MOST_RESERVED_SHARE - OWN_BYTES
  const most = Math.floor(Math.max(left, memoryBytes * LEAST_OUTPUT_SHARE))
  const totalBytes = Math.min(output.totalBytes, most)
  return {
    output: { ringBytes: Math.min(output.ringBytes, totalBytes), totalBytes },
    reserveBytes: reserve.memoryBytes ?? OWN_BYTES + totalBytes,
    isLowered: totalBytes < output.totalBytes,
  }
}
