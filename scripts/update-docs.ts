/** Writes the tables that are made from the code into the documents. A unit test compares them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settingsMarkdown } from '../src/config/config.ts'
import { errorTable } from '../src/errors.ts'
import { reasonTable } from '../src/protocol/schemas/readiness-schema.ts'

const root = join(import.meta.dirname, '..')

export function errorsMarkdown(): string {
  const rows = Object.entries(errorTable).map(
    ([code, { status, title, retryable }]) =>
      `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${title} |`,
  )
  const header = '| code | status | retryable | meaning |'
  return [header, '|---|---|---|---|', ...rows, ''].join('\n')
}

export function reasonsMarkdown(): string {
  const rows = Object.entries(reasonTable).map(([code, text]) => `| \`${code}\` | ${text} |`)
  return ['| code | not ready because |', '|---|---|', ...rows, ''].join('\n')
}

const tables = [
  { file: 'docs/settings.md', marker: 'settings', text: settingsMarkdown },
  { file: 'docs/api.md', marker: 'errors', text: errorsMarkdown },
  { file: 'docs/operations.md', marker: 'reasons', text: reasonsMarkdown },
] as const

/** Each document as it should be. */
export function updatedDocuments(): ReadonlyMap<string, string> {
  return new Map(
    tables.map(({ file, marker, text }) => {
      const between = new RegExp(`(<!-- ${marker} -->\n)[^]*?(<!-- /${marker} -->)`)
      const path = join(root, file)
      return [path, readFileSync(path, 'utf8').replace(between, (_, a, b) => a + text() + b)]
    }),
  )
}

if (import.meta.main) {
  for (const [path, text] of updatedDocuments()) writeFileSync(path, text)
}
