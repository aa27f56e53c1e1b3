/** Writes the tables that are made from the code into the documents. A unit test compares them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settingsMarkdown } from '../src/config/settings-text.ts'
import { errorTable } from '../src/errors.ts'
import { JsonFrame } from '../src/protocol/schemas/frame-schema.ts'
import { reasonTable } from '../src/protocol/schemas/readiness-schema.ts'
import { receiptFields } from '../src/protocol/schemas/receipt-schema.ts'
import { CommandLimits, RunRequest } from '../src/protocol/schemas/request-schemas.ts'
import { SessionRequest } from '../src/protocol/schemas/session-request.ts'

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
      const { type, ...fields } = schema.properties
      const { description }: FieldSchema = schema
      return `**\`${type.const}\`**: ${description}.\n\n${fieldsMarkdown({ properties: fields })}`
    })
    .join('\n')
}

/** The fields of an object: name, what JSON has, and the description of the schema. */
function fieldsMarkdown({ properties, required }: ObjectSchema): string {
  const rows = Object.entries(properties).map(([name, field]: [string, FieldSchema]) => {
    const type = `${jsonType(field)}${required?.includes(name) ? ', required' : ''}`
    return `| \`${name}\` | ${type} | ${field.description?.replaceAll('|', '\\|')} |`
  })
  return ['| field | JSON | meaning |', '|---|---|---|', ...rows, ''].join('\n')
}

interface ObjectSchema {
  readonly properties: object
  /** Of a request; every field of a reply is always present. */
  readonly required?: readonly string[] | undefined
}

/** What the schemas of fields have. */
interface FieldSchema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly FieldSchema[]
  readonly items?: FieldSchema
  readonly description?: string
}

function jsonType({ type, enum: values, anyOf, items }: FieldSchema): string {
  if (anyOf !== undefined) return anyOf.map(jsonType).join(' or ')
  if (values !== undefined) return values.map(value => `\`${value}\``).join(', ')
  return items === undefined ? String(type) : `${type} of ${jsonType(items)}s`
}

const tables = [
  { file: 'docs/settings.md', marker: 'settings', text: settingsMarkdown },
  { file: 'docs/api.md', marker: 'errors', text: errorsMarkdown },
  { file: 'docs/frames.md', marker: 'frames', text: framesMarkdown },
  { file: 'docs/operations.md', marker: 'reasons', text: reasonsMarkdown },
  { file: 'docs/api.md', marker: 'run-request', text: () => fieldsMarkdown(RunRequest) },
  { file: 'docs/api.md', marker: 'limits', text: () => fieldsMarkdown(CommandLimits) },
  { file: 'docs/api.md', marker: 'session-request', text: () => fieldsMarkdown(SessionRequest) },
  {
    file: 'docs/storage.md',
    marker: 'receipt',
    text: () => fieldsMarkdown({ properties: receiptFields }),
  },
] as const

/** Each document as it should be. */
export function updatedDocuments(): ReadonlyMap<string, string> {
  const documents = new Map<string, string>()
  for (const { file, marker, text } of tables) {
    const path = join(root, file)
    const between = new RegExp(`(<!-- ${marker} -->\n)[^]*?(<!-- /${marker} -->)`)
    const document = documents.get(path) ?? readFileSync(path, 'utf8')
    if (!between.test(document)) throw new Error(`${file} has no place for the table ${marker}`)
    documents.set(
      path,
      document.replace(between, (_, a, b) => a + text() + b),
    )
  }
  return documents
}

if (import.meta.main) {
  for (const [path, text] of updatedDocuments()) writeFileSync(path, text)
}
