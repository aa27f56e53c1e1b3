/**
 * All tests, in groups: what `make test` runs. The last line is the sum, `N passed, N failed`; before
 * it are the slowest files. Arguments name the groups to run: `node test/run.ts unit process`;
 * `fast` is all of them but the machines.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { GROUPS, type Group, type Step } from './runner/groups.ts'
import { lanesOf, runSteps } from './runner/schedule.ts'
import {
  addSums,
  createFileReader,
  type FileResult,
  type Sum,
  singleSum,
  tapSum,
} from './runner/tap-output.ts'

const root = join(import.meta.dirname, '..')
const results = join(root, 'build/test-results')
/** How many files are listed at the end. */
const SLOWEST = 10
/** Of the column with the groups' names. */
const WIDTH = Math.max(...GROUPS.map(({ name }) => name.length))

interface Ended {
  /** Of stdout, which tap's results are on. */
  readonly lines: readonly string[]
  readonly errors: readonly string[]
  readonly files: readonly FileResult[]
  readonly sum: Sum
}

interface Timed {
  readonly group: string
  readonly name: string
  readonly seconds: number
}

const slowest: Timed[] = []
const endedOf = new Map<Group, Ended[]>()
const beganAt = new Map<Group, number>()

const groups = chosenGroups(process.argv.slice(2))
const steps = groups.flatMap(group => group.commands.map((argv): Step => ({ group, argv })))
mkdirSync(results, { recursive: true })
await runSteps(steps, lanesOf(), runStep)
printSlowest()
const { passed, failed } = addSums([...endedOf.values()].flat().map(({ sum }) => sum))
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

function chosenGroups(names: readonly string[]): readonly Group[] {
  if (names.length === 0) return GROUPS.filter(({ onlyByName }) => !onlyByName)
  const known = new Map<string, readonly Group[]>([
    ...GROUPS.map(group => [group.name, [group]] as const),
    ['fast', GROUPS.filter(({ kind, onlyByName }) => kind === 'host' && !onlyByName)],
  ])
  const unknown = names.filter(name => !known.has(name))
  if (unknown.length === 0) return [...new Set(names.flatMap(name => known.get(name) ?? []))]
  console.error(`there is no group ${unknown.join(', ')}: ${[...known.keys()].join(', ')}`)
  process.exit(2)
}

/** Runs one step. Each file is printed when it ends: as one line, or with all its output if it failed. */
async function runStep({ group, argv }: Step): Promise<void> {
  const [name = '', ...words] = argv
  const file = join(root, 'node_modules/.bin', name)
  const [program, ...args] = group.ownMounts
    ? ['unshare', '--mount', '--propagation', 'private', file, ...words]
    : [file, ...words]
  const began = performance.now()
  beganAt.set(group, beganAt.get(group) ?? began)
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, ...group.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve).once('error', reject)
  })
  const files: FileResult[] = []
  const readLine = createFileReader(file => {
    files.push(file)
    printFile(group, file)
  })
  const [lines, errors] = await Promise.all([
    linesOf(child.stdout, readLine),
    linesOf(child.stderr),
  ])
  const code = await closed
  const sum = group.single ? singleSum(code) : tapSum(lines, code)
  printStep(group, { lines, errors, files, sum }, (performance.now() - began) / 1_000)
}

function printFile(group: Group, { name, ok, seconds, lines }: FileResult): void {
  if (ok) console.log(`${group.name.padEnd(WIDTH)}  ${name} (${seconds?.toFixed(1)} s)`)
  else console.log(lines.join('\n'))
  slowest.push({ group: group.name, name, seconds: seconds ?? 0 })
}

function printStep(group: Group, ended: Ended, seconds: number): void {
  const { name, commands, single } = group
  const all = [...(endedOf.get(group) ?? []), ended]
  endedOf.set(group, all)
  writeResults(group, all)
  if (ended.sum.failed > 0) {
    // A failure that no file has: a tool's words, or what ended tap itself.
    if (ended.files.every(({ ok }) => ok)) console.log(ended.lines.join('\n'))
    console.log(ended.errors.join('\n'))
  }
  if (single) slowest.push({ group: name, name: commands.flat().join(' '), seconds })
  if (all.length < commands.length) return
  const sum = addSums(all.map(({ sum }) => sum))
  const took = (performance.now() - (beganAt.get(group) ?? 0)) / 1_000
  console.log(`${name}: ${sum.passed} passed, ${sum.failed} failed (${took.toFixed(0)} s)`)
}

async function linesOf(
  stream: NodeJS.ReadableStream,
  read?: (line: string) => void,
): Promise<string[]> {
  const lines: string[] = []
  for await (const line of createInterface({ input: stream })) {
    lines.push(line)
    read?.(line)
  }
  return lines
}

function writeResults({ name }: Group, all: readonly Ended[]): void {
  const lines = all.flatMap(({ lines, errors }) => [...lines, ...errors])
  writeFileSync(join(results, `${name}.tap`), lines.join('\n'))
}

function printSlowest(): void {
  console.log('slowest:')
  for (const { group, name, seconds } of slowest
    .toSorted((a, b) => b.seconds - a.seconds)
    .slice(0, SLOWEST)) {
    console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${name} (${group})`)
  }
}
