/** The groups of tests, and the steps that each consists of. */

import { globSync } from 'node:fs'
import path from 'node:path'

/**
 * `host`: tests of programs on this machine, which mostly wait. `machine`: a guest, which takes a
 * processor where its instructions are translated.
 */
export type Kind = 'host' | 'machine'

export interface Step {
  readonly group: Group
  readonly argv: readonly string[]
}

export interface Group {
  readonly name: string
  readonly kind: Kind
  /** The command of each step. Steps of kind `machine` run beside each other. */
  readonly commands: readonly (readonly string[])[]
  /** Counts as this many tests in all, for tools that count none: 1. */
  readonly single?: boolean
  readonly env?: Readonly<Record<string, string>>
  /**
   * In a mount namespace of its own: namespaces that other groups make meanwhile would hold copies of its
   * mounts, and a volume that is unmounted would stay busy.
   */
  readonly ownMounts?: boolean
  /** Runs only when it is named: it takes too long for every run. */
  readonly onlyByName?: boolean
}

const tap = (files: readonly string[], ...options: string[]) => [
  'tap',
  ...options,
  '--reporter=tap',
  ...files,
]

/** Files that take more than a minute: they begin first, so that none is left for a single lane at the end. */
const LONG = ['life', 'image-build', 'real-work', 'vsock', 'broken', 'limits', 'watchdog', 'fire']
const rankOf = (file: string) => {
  const rank = LONG.indexOf(path.basename(file, '.test.ts'))
  return rank === -1 ? LONG.length : rank
}

/** A step for each file. */
const each = (pattern: string, ...options: string[]) => {
  const files = globSync(pattern, { cwd: path.join(import.meta.dirname, '../..') })
  const inOrder = files.sort().sort((a, b) => rankOf(a) - rankOf(b))
  return inOrder.map(file => tap([file], '--jobs=1', ...options))
}

export const GROUPS: readonly Group[] = [
  { name: 'lint', kind: 'host', commands: [['biome', 'check', '.']], single: true },
  { name: 'types', kind: 'host', commands: [['tsc']], single: true },
  { name: 'unit', kind: 'host', commands: [tap(['test/unit/**/*.test.ts'])] },
  { name: 'process', kind: 'host', commands: [tap(['test/process/**/*.test.ts'])] },
  {
    name: 'storage',
    kind: 'host',
    commands: [tap(['test/storage/**/*.test.ts'])],
    ownMounts: true,
  },
  { name: 'asan', kind: 'host', commands: [['node', 'test/asan.ts']], ownMounts: true },
  { name: 'dist', kind: 'host', commands: each('test/dist/**/*.test.ts', '--timeout=600') },
  // A guest at work, and 200 power cuts of it; GUESTD_CRASH_POINTS changes the number.
  { name: 'crash', kind: 'machine', commands: each('test/crash/*.test.ts', '--timeout=3600') },
  { name: 'vm', kind: 'machine', commands: each('test/vm/**/*.test.ts', '--timeout=1200') },
  {
    name: 'soak',
    kind: 'host',
    commands: [
      tap(
        ['test/process/commands/{leaks,back-pressure}.test.ts'],
        ...['--jobs=1', '--timeout=1200'],
      ),
    ],
    env: { GUESTD_LONG: '1' },
    onlyByName: true,
  },
  {
    name: 'soak-vm',
    kind: 'machine',
    commands: each('test/vm/{life,real-work}.test.ts', '--timeout=3600'),
    env: { GUESTD_LONG: '1' },
    onlyByName: true,
  },
]
