/** Writes the tables that are made from the code into the documents. A unit test compares them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settingsMarkdown } from '../src/config/settings-text.ts'
import { errorTable } from '../src/errors.ts'
import { JsonFrame } from '../src/protocol/schemas/frame-schema.ts'
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

/** The fields of each frame: name, what JSON has, and the description of the schema. */
export function framesMarkdown(): string {
  return JsonFrame.anyOf
    .map(schema => {
      const { description, properties }: FieldSchema & typeof schema = schema
      const { type, ...fields } = properties
      const rows = Object.entries<FieldSchema>(fields).map(
        ([name, field]) => `| \`${name}\` | ${jsonType(field)} | ${field.description} |`,
      )
      const title = `**\`${type.const}\`**: ${description}.`
      return [title, '', '| field | JSON | meaning |', '|---|---|---|', ...rows, ''].join('\n')
    })
    .join('\n')
}

/** What the schemas of fields have. */
interface FieldSchema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly FieldSchema[]
  readonly description?: string
}

function jsonType({ type, enum: values, anyOf }: FieldSchema): string {
  if (anyOf !== undefined) return anyOf.map(jsonType).join(' or ')
  if (values !== undefined) return values.map(value => `\`${value}\``).join(', ')
  return String(type)
}

const tables = [
  { file: 'docs/settings.md', marker: 'settings', text: settingsMarkdown },
  { file: 'docs/api.md', marker: 'errors', text: errorsMarkdown },
  { file: 'docs/frames.md', marker: 'frames', text: framesMarkdown },
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
