/** The table that `make bench` prints. */
import type { Budget, Line } from './line.ts'

const HEAD = ['', 'guestd', 'baseline', 'ratio', '(quartiles)', 'budget', '', 'baseline is']

export function renderTable(lines: readonly Line[]): string {
  const rows = [HEAD, ...lines.map(cells)]
  const widths = HEAD.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const table = rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const notes = lines.flatMap(line => line.notes.map(note => `${line.name}: ${note}`))
  return `${[...table, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n')}\n`
}

function cells(line: Line): string[] {
  const [low, high] = line.spread
  return [
    line.name,
    `${round(line.guestd)} ${line.unit}`,
    `${round(line.baseline)} ${line.unit}`,
    line.ratio.toFixed(2),
    `(${low.toFixed(2)} to ${high.toFixed(2)})`,
    line.budget === null ? '' : describe(line.budget, line),
    line.met === null ? '' : line.met ? 'pass' : 'missed',
    line.baselineName,
  ]
}

function describe({ of, atMost, atLeast, plus }: Budget, { unit }: Line): string {
  if (plus !== undefined) return `≤ ${atMost} × + ${plus} ${unit}`
  const bound = atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`
  return of === 'ratio' ? `${bound} ×` : `${bound} ${unit}`
}

/** Three significant digits. */
function round(value: number): string {
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
