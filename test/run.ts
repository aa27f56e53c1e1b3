/**
 * All tests, in groups, one after the other: what `make test` runs. The last line is the sum,
 * `N passed, N failed`. Arguments name the groups to run: `node test/run.ts unit process`.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const root = join(import.meta.dirname, '..')
const results = join(root, 'build/test-results')

interface Group {
  readonly name: string
  readonly argv: readonly string[]
  /** Counts as this many tests in all, for tools that count none: 1. */
  readonly single?: boolean
  readonly env?: Readonly<Record<string, string>>
  /** Too long for every day. */
  readonly onlyByName?: boolean
}

const tap = (files: string, ...options: string[]) => ['tap', ...options, '--reporter=tap', files]

const groups: readonly Group[] = [
  { name: 'lint', argv: ['biome', 'check', '.'], single: true },
  { name: 'types', argv: ['tsc'], single: true },
  { name: 'unit', argv: tap('test/unit/**/*.test.ts') },
  { name: 'process', argv: tap('test/process/**/*.test.ts') },
  { name: 'storage', argv: tap('test/storage/**/*.test.ts') },
  { name: 'asan', argv: ['node', 'test/asan.ts'] },
  { name: 'dist', argv: tap('test/dist/**/*.test.ts', '--jobs=1', '--timeout=600') },
  { name: 'vm', argv: tap('test/vm/**/*.test.ts', '--jobs=1', '--timeout=1200') },
  // A guest at work, and 200 power cuts of it; GUESTD_CRASH_POINTS says how many.
  { name: 'crash', argv: tap('test/crash/*.test.ts', '--jobs=1', '--timeout=3600') },
  {
    name: 'soak',
    argv: tap('test/process/commands/{leaks,back-pressure}.test.ts', '--jobs=1', '--timeout=1200'),
    env: { GUESTD_LONG: '1' },
    onlyByName: true,
  },
]

interface Sum {
  readonly passed: number
  readonly failed: number
}

/** Runs one group, tells what each file came to, and shows all that a failed one said. */
async function runGroup(group: Group): Promise<Sum> {
  const [program = '', ...args] = group.argv
  const began = performance.now()
  const child = spawn(join(root, 'node_modules/.bin', program), args, {
    cwd: root,
    env: { ...process.env, ...group.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  let file: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    file.push(line)
    const result = /^(not )?ok \d+ - (.*)/.exec(line)
    if (result === null) continue
    if (result[1] === undefined) console.log(`  ${result[2]}`)
    else console.log(file.join('\n'))
    file = []
  }
  const code = await new Promise<number | null>(resolve => {
    if (child.exitCode !== null) resolve(child.exitCode)
    else child.once('close', resolve)
  })
  mkdirSync(results, { recursive: true })
  writeFileSync(join(results, `${group.name}.tap`), lines.join('\n'))
  if (group.single && code !== 0) console.log(lines.join('\n'))
  const sum = group.single ? singleSum(code) : tapSum(lines, code)
  const seconds = ((performance.now() - began) / 1_000).toFixed(0)
  console.log(`${group.name}: ${sum.passed} passed, ${sum.failed} failed (${seconds} s)`)
  return sum
}

function singleSum(code: number | null): Sum {
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

/** tap's own closing line counts every assertion. A run that failed without one failed once. */
function tapSum(lines: readonly string[], code: number | null): Sum {
  const summary = lines.findLast(line => line.startsWith('# { total:')) ?? ''
  const read = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  // A test that was skipped, or is still to be written, has not passed.
  const failed = read('fail') + read('skip') + read('todo')
  const passed = read('pass')
  const nothingRan = passed + failed === 0
  return { passed, failed: failed === 0 && (code !== 0 || nothingRan) ? 1 : failed }
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !groups.some(group => group.name === name))
if (unknown.length > 0) {
  console.error(
    `there is no group ${unknown.join(', ')}: ${groups.map(({ name }) => name).join(', ')}`,
  )
  process.exit(2)
}
let passed = 0
let failed = 0
for (const group of groups) {
  const chosen = wanted.length === 0 ? !group.onlyByName : wanted.includes(group.name)
  if (!chosen) continue
  console.log(`${group.name}`)
  const sum = await runGroup(group)
  passed += sum.passed
  failed += sum.failed
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
