/** Cgroups below ours that the journal does not name: the line of their command was lost. */
import { join } from 'node:path'
import {
  type CgroupTree,
  cgroupPids,
  isPopulated,
  killCgroup,
  leavesOf,
  removeCgroup,
} from '../sys/cgroup.ts'
import { killUntilEmpty } from './terminate.ts'

export interface Strays {
  readonly cgroups: number
  /** Processes in them. */
  readonly processes: number
}

export const NO_STRAYS: Strays = { cgroups: 0, processes: 0 }

/**
 * Kills the processes in them and removes them.
 *
 * @param known paths of cgroups that are handled elsewhere
 */
export async function killStrays(
  { commandsPath, rescuePath }: CgroupTree,
  known: ReadonlySet<string | null>,
): Promise<Strays> {
  const strays = [commandsPath, rescuePath]
    .flatMap(parent => leavesOf(parent).map(name => join(parent, name)))
    .filter(path => !known.has(path))
  const populated = strays.filter(isPopulated)
  const processes = populated.reduce((sum, path) => sum + cgroupPids(path).length, 0)
  await Promise.all(
    strays.map(path =>
      killUntilEmpty({
        kill: () => void killCgroup(path),
        isEmpty: () => !isPopulated(path) && removeCgroup(path),
      }),
    ),
  )
  return { cgroups: populated.length, processes }
}

export function strayWords({ cgroups, processes }: Strays): string {
  return `${processes} processes in ${cgroups} cgroups belonged to no command of the journal, and were killed`
}
