/** The options that limit a command or the commands of a session. */

import type { CommandLimits } from '../client/index.ts'
import type { Arguments, OptionRow } from './command-spec.ts'
import { parseCount, parseNumber, parseSize } from './values.ts'

export const limitOptions: readonly OptionRow[] = [
  { name: 'memory', value: 'SIZE', help: 'Limit of memory: 512MiB, 1G' },
  { name: 'pids', value: 'N', help: 'Limit of processes and threads' },
  { name: 'cpus', value: 'N', help: 'Limit of processors, such as 0.5' },
  { name: 'nofile', value: 'N', help: 'Limit of open files of each process' },
]

/** `undefined` if no limit is given. @throws UsageError */
export function readLimits(args: Arguments): CommandLimits | undefined {
  const readers = [
    ['memoryBytes', 'memory', parseSize],
    ['pids', 'pids', parseCount],
    ['cpus', 'cpus', parseNumber],
    ['nofile', 'nofile', parseCount],
  ] as const
  const given = readers.flatMap(([field, option, read]) => {
    const text = args.value(option)
    return text === undefined ? [] : [[field, read(`--${option}`, text)] as const]
  })
  return given.length === 0 ? undefined : Object.fromEntries(given)
}
