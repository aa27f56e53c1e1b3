/** Runs steps beside each other, as far as processors and memory allow. */

import { availableParallelism, totalmem } from 'node:os'
import type { Step } from './groups.ts'

/** One runs the tests of programs, the others the machines; each takes the other kind when its own is done. */
const MIN_LANES = 2
/** More would share the disk, and gain nothing. */
const MAX_LANES = 4
/** Of the largest machine, its disks and what is built for them. */
const MACHINE_BYTES = 4 * 1024 ** 3

export interface Lanes {
  readonly lanes: number
  /** The most machines at a time. */
  readonly machines: number
}

/** What this machine has room for. */
export function lanesOf(processors = availableParallelism(), memoryBytes = totalmem()): Lanes {
  const lanes = Math.min(Math.max(processors, MIN_LANES), MAX_LANES)
  const machines = Math.min(Math.max(Math.floor(memoryBytes / MACHINE_BYTES), 1), lanes)
  return { lanes, machines }
}

/**
 * Runs all steps. The first lane prefers those of programs, which run one after the other, so that
 * lanes beside each other work on different kinds until one kind is used up.
 */
export async function runSteps(
  steps: readonly Step[],
  { lanes, machines }: Lanes,
  run: (step: Step) => Promise<void>,
): Promise<void> {
  const waiting = {
    host: steps.filter(({ group }) => group.kind === 'host'),
    machine: steps.filter(({ group }) => group.kind === 'machine'),
  }
  const running = { host: 0, machine: 0 }
  const limits = { host: 1, machine: machines }
  const worker = async (kinds: readonly ('host' | 'machine')[]) => {
    for (;;) {
      const kind = kinds.find(kind => running[kind] < limits[kind] && waiting[kind].length > 0)
      const step = kind === undefined ? undefined : waiting[kind].shift()
      if (kind === undefined || step === undefined) return
      running[kind] += 1
      await run(step).finally(() => {
        running[kind] -= 1
      })
    }
  }
  const preferences = Array.from({ length: lanes }, (_, lane) =>
    lane === 0 ? (['host', 'machine'] as const) : (['machine', 'host'] as const),
  )
  await Promise.all(preferences.map(worker))
}
