/**
 * Launches one command again and again, and makes another call of the addon fail each time: the first, the second, and
 * so on until none is left. Prints a line of JSON for each launch. Arguments: the addon, a cgroup, the kind of command.
 */
import { closeSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { LaunchSpec } from '../../src/sys/native.ts'
import type { FaultRow, Faults } from './launch-memory.test.ts'

const [addon = '', cgroup = '', program = ''] = process.argv.slice(2)
const open = process.dlopen.bind(process)
// The addon of the sanitizers takes the place of the one in dist/.
process.dlopen = (module: object) => open(module, addon)
const { launch } = await import('../../src/sys/launch.ts')
const { native } = await import('../../src/sys/native.ts')
const { removeCgroup } = await import('../../src/sys/cgroup.ts')
const faults: Faults = Object.create(native)

/** How many turns of the loop memory may take to be freed. */
const MAX_TURNS = 100_000

async function launchWithFault(n: number): Promise<FaultRow> {
  const leaf = join(cgroup, `leaf-${n}`)
  const before = faults.liveBlocks()
  const [output, end] = native.pipe(0)
  faults.failCall(n)
  const outcome = await launch(specOf(leaf, end), () => undefined)
  const failedCall = faults.failedCall()
  faults.failCall(0)
  if (outcome.kind === 'running') await outcome.process.exited
  const text = readFileSync(output, 'utf8')
  closeSync(output)
  for (let turn = 0; turn < MAX_TURNS && faults.liveBlocks() > before; turn++) await setImmediate()
  const { kind } = outcome
  const failure = kind === 'failed' ? outcome : null
  return {
    ...{ failedCall, kind, stage: failure?.stage ?? null, errno: failure?.errno ?? null },
    ...{ interpreter: failure?.interpreter ?? null, leaf, output: text },
    limits: LIMITS.map(([name]) => readIn(leaf, name)),
    leaked: faults.liveBlocks() - before,
  }
}

const LIMITS = [
  ['cgroup.max.descendants', '7'],
  ['cgroup.max.depth', '3'],
] as const
const SCRIPT = `echo "$# $*"; echo "$A $B $C"
while read -r k v; do case $k in Uid:|Gid:|Groups:) echo $k $v;; esac; done </proc/self/status
while read -r l; do case $l in 0::*) echo $l;; esac; done </proc/self/cgroup`

function specOf(cgroupPath: string, stdout: number): LaunchSpec {
  return {
    argv: ['sh', '-c', SCRIPT, 'sh', 'one', 'two', 'three'],
    env: ['A=first', 'B=second', 'C=third'],
    paths: ['/none/sh', program],
    ...{ cwd: '/', oomScoreAdj: '0', stdin: -1, stdout, stderr: stdout },
    ...{ switchUser: true, uid: 65_534, gid: 65_533, groups: [7, 8] },
    ...{ nofileSoft: 64, nofileHard: 64, cgroupPath, cgroupWrites: LIMITS.flat() },
  }
}

function readIn(leaf: string, name: string): string | null {
  try {
    return readFileSync(join(leaf, name), 'utf8').trim()
  } catch {
    return null
  }
}

async function failEachCall(): Promise<void> {
  for (let n = 1; ; n++) {
    const row = await launchWithFault(n)
    // The kernel may take some time to end a process that was killed.
    while (!removeCgroup(row.leaf)) await setImmediate()
    console.log(JSON.stringify(row))
    if (row.failedCall === null) return
  }
}

mkdirSync(cgroup)
// First without a thread, then with the thread that the last launch has left idle.
await failEachCall()
await failEachCall()
rmdirSync(cgroup)
