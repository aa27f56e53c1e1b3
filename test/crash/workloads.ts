/** What works on the disks that are recorded. */
import type { Kind } from './content.ts'
import type { DiskName } from './disks.ts'
import type { ClaimRules } from './notes.ts'

export const WORKLOADS: Readonly<Record<DiskName, Readonly<Record<string, Kind>>>> = {
  workspace: {
    'append-1': 'append',
    'append-2': 'append',
    'append-3': 'append',
    'fsync-1': 'fsync',
    'rename-1': 'rename',
    'names-1': 'names',
    'git-1': 'git',
    'sqlite-1': 'sqlite',
    trees: 'trees',
  },
  'no-barriers': { 'fsync-1': 'fsync', 'sqlite-1': 'sqlite' },
  'only-syncfs': { 'append-1': 'append', 'append-2': 'append', 'append-3': 'append' },
  // Beside what the machine before has left there.
  resumed: {
    'later-append-1': 'append',
    'later-append-2': 'append',
    'later-fsync': 'fsync',
    'later-rename': 'rename',
    'later-sqlite': 'sqlite',
  },
}
/** Kinds that are durable when they are noted. */
const AT_ONCE: ReadonlySet<Kind> = new Set(['fsync', 'rename', 'names', 'sqlite'])
/** In every round each workload does so much more before the flush. */
export const ROUND_NOTES: Readonly<Partial<Record<Kind, number>>> = {
  append: 25,
  fsync: 25,
  rename: 10,
  names: 10,
  git: 1,
  sqlite: 15,
}
/** Notes of the test: around a flush, with its number; and after the stop that only calls syncfs. */
export const [BEGIN, DONE, RECEIPT] = ['flush-begin', 'flush-done', 'receipt']

export function claimRulesOf(disk: DiskName): ClaimRules {
  const durable = Object.entries(WORKLOADS[disk]).filter(([, kind]) => AT_ONCE.has(kind))
  return {
    durableAtOnce: new Set(durable.map(([name]) => name)),
    flush:
      disk === 'only-syncfs' ? { begin: RECEIPT, done: RECEIPT } : { begin: BEGIN, done: DONE },
  }
}
