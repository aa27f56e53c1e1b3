/**
 * `make bench`: measures guestd against what the machine itself can do, prints a table, and writes
 * the figures as JSON. It ends with 0 whatever the figures are: they are for people to judge.
 *
 * Ratios hold on a machine with other work, but not for ever: `chrt -r 1 make bench` keeps it away.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, release, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '../../src/util/message-of.ts'
import type { Bench, Row } from './bench.ts'
import { startDaemon } from './daemon.ts'
import type { Line } from './line.ts'
import { rows } from './rows/index.ts'
import { renderTable } from './table.ts'
import { buildTools, type Tools } from './tools.ts'

const DIST = join(import.meta.dirname, '../../dist')

/** As a shell has it after Ctrl-C. */
const EXIT_SIGNALLED = 130

const USAGE = `usage: make bench, or node test/bench/main.ts [OPTION…]
  --only NAME     this row alone; more than once for several: ${rows.map(row => row.name).join(', ')}
  --quick         fewer and smaller runs, to see that the rows work
  --json FILE     where the figures go; default dist/bench.json
  --profile DIR   guestd writes CPU profiles there
`

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    json: { type: 'string', default: join(DIST, 'bench.json') },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

/** Of the row that is being measured. */
const undo: (() => Promise<unknown>)[] = []

async function main(): Promise<void> {
  if (values.help) return void process.stdout.write(USAGE)
  const chosen = chooseRows()
  const tools = await buildTools(join(DIST, 'bench'))
  const loadBefore = loadavg()
  const lines: Line[] = []
  const failures: string[] = []
  for (const row of chosen) {
    say(`${row.name} …`)
    try {
      lines.push(...(await measure(row, tools)))
    } catch (error) {
      failures.push(`${row.name}: ${messageOf(error)}`)
    }
    await writeJson({ lines, failures, loadBefore })
  }
  process.stdout.write(`\n${renderTable(lines)}\n${describeMachine(loadBefore)}\n`)
  for (const failure of failures) process.stdout.write(`not measured: ${failure}\n`)
  if (failures.length > 0) process.exitCode = 1
}

function chooseRows(): readonly Row[] {
  const { only } = values
  const unknown = only?.find(name => !rows.some(row => row.name === name))
  if (unknown === undefined) return rows.filter(row => only?.includes(row.name) ?? true)
  process.stderr.write(`there is no row ${unknown}\n${USAGE}`)
  process.exit(2)
}

async function measure(row: Row, tools: Tools): Promise<readonly Line[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'guestd-bench-'))
  undo.push(() => rm(scratch, { recursive: true, force: true }))
  const bench: Bench = {
    quick: values.quick,
    tools,
    scratch,
    say,
    defer: one => void undo.push(one),
    async startDaemon(options = {}) {
      const { profile } = values
      const daemon = await startDaemon({ ...options, ...(profile && { profile }) })
      undo.push(daemon.stop)
      return daemon
    },
  }
  try {
    return await row.measure(bench)
  } finally {
    await undoAll()
  }
}

/** Ends what the row has started, the last first. */
async function undoAll(): Promise<void> {
  for (let one = undo.pop(); one !== undefined; one = undo.pop()) await one()
}

async function writeJson(result: {
  readonly lines: readonly Line[]
  readonly failures: readonly string[]
  readonly loadBefore: readonly number[]
}): Promise<void> {
  const { lines, failures, loadBefore } = result
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    kernel: release(),
    node: process.version,
    loadBefore,
    loadAfter: loadavg(),
  }
  const report = { at: new Date().toISOString(), quick: values.quick, machine, lines, failures }
  await mkdir(dirname(values.json), { recursive: true })
  await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`)
}

function describeMachine(loadBefore: readonly number[]): string {
  const load = [loadBefore, loadavg()].map(([minute]) => minute?.toFixed(1)).join(' before, ')
  return `${cpus().length} × ${cpus()[0]?.model}, node ${process.version}, load ${load} after`
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void undoAll().finally(() => process.exit(EXIT_SIGNALLED)))

await main()
