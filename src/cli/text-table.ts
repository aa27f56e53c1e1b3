/** Formats tables, facts, sizes and durations as text. */

/** Rows under a header, with two spaces between columns. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[]) {
  const all = [header, ...rows].map(row => row.map(printable))
  const widths = header.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)))
  return all
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map(line => `${line}\n`)
    .join('')
}

/** A name and its value or values. */
export type Fact = readonly [name: string, value: string | readonly string[]]

/** One line for each value, with its name on the left. */
export function renderFacts(facts: readonly Fact[]): string {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2
  return facts
    .flatMap(([name, value]) =>
      [value].flat().map((one, index) => {
        const left = index === 0 ? `${name}:` : ''
        return `${left.padEnd(width)}${printable(one)}\n`
      }),
    )
    .join('')
}

/**
 * Makes a text safe for a terminal. Control characters become a space. Characters that change the direction of
 * text, and Unicode line separators, become an escape such as `\\u202e`.
 */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').replace(/[\p{Bidi_Control}\u2028\u2029]/gu, escapeOf)
}

/** The same for several lines. Newlines stay. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

function escapeOf(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** `1.5 GiB`, `37 B`. */
export function formatBytes(bytes: number): string {
  const power = Math.min(bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10), UNITS.length - 1)
  const value = bytes / 1024 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`
}

/** `37ms`, `1.5s`, `3m20s`, `2h5m`, `4d3h`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)}s`
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 60) return `${minutes}m${Math.floor((ms % 60_000) / 1_000)}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours}h${minutes % 60}m`
  return `${Math.floor(hours / 24)}d${hours % 24}h`
}
