/** How much memory the output may take on this machine, and how much is reserved for guestd. */
import type { Config } from '../config/types.ts'
import type { Log } from '../log.ts'
import { ownCgroup } from '../sys/cgroup.ts'
import { MOST_RESERVED_SHARE, type Reserve, usableMemory } from '../sys/reserve.ts'

/** The settings of output and reserve, lowered to what this machine has. Logs a warning when output is lowered. */
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
  /** Memory that commands leave to guestd and the system, in bytes; keepReserve bounds it. */
  readonly reserveBytes: number
  /** Whether output gets less than configured. */
  readonly isLowered: boolean
}

/**
 * Memory of guestd without output and of a small Debian: 130 MiB with the code of guestd in the page cache, plus the
 * growth of the heap while eight commands write at full speed.
 */
const OWN_BYTES = 160 * 1024 * 1024
/** Least share of the memory for output, on a machine that has too little for guestd as well. */
const LEAST_OUTPUT_SHARE = 1 / 16

/** @param memoryBytes memory of the machine, or the part of it that guestd and its commands may use */
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
