/** How much memory output may take on this machine, and what commands leave to guestd for it. */
import type { Config } from '../config/types.ts'
import type { Log } from '../log.ts'
import { ownCgroup } from '../sys/cgroup.ts'
import { MOST_RESERVED_SHARE, type Reserve, usableMemory } from '../sys/reserve.ts'

/** The settings of output and reserve that are in force here. Output that gets less is logged. */
export function fitToMachine(
  config: Config,
  log: Log,
): { readonly output: Config['output']; readonly reserve: Reserve } {
  const plan = planMemory(config, usableMemory(ownCgroup()))
  if (plan.isLowered)
    log.warn(
      { component: 'commands', totalBytes: plan.output.totalBytes },
      'output gets less than output.totalBytes: the machine has too little memory',
    )
  return {
    output: { ...config.output, ...plan.output },
    reserve: { ...config.reserve, memoryBytes: plan.reserveBytes },
  }
}

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
