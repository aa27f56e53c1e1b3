/**
 * Declarations of the API's types in plain TypeScript, made from their JSON Schemas. In the source they are types
 * of the schema library, which users of the client do not have. Each field gets its description as a comment.
 */

/** The part of JSON Schema that the API uses. */
interface Schema {
  readonly type?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
}

/**
 * @param exports of a module: each schema becomes a type with its name
 * @throws Error for a kind of schema that this does not know
 */
export function plainTypes(exports: Readonly<Record<string, unknown>>): string {
  const types = Object.entries(exports)
    .filter((entry): entry is [string, Schema] => isSchema(entry[1]))
    .map(([name, schema]) => `${comment(schema, '')}export type ${name} = ${typeOf(schema, '')};\n`)
  return types.join('')
}

function isSchema(value: unknown): value is Schema {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['type', 'anyOf', 'enum', 'const'].some(key => key in value)
  )
}

function typeOf(schema: Schema, indent: string): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(value => JSON.stringify(value)).join(' | ')
  if (schema.anyOf !== undefined) {
    return schema.anyOf.map(one => typeOf(one, indent)).join(' | ')
  }
  switch (schema.type) {
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type
    case 'integer':
    case 'number':
      return 'number'
    case 'array':
      return `Array<${typeOf(schema.items ?? {}, indent)}>`
    case 'object':
      return objectType(schema, indent)
    default:
      throw new Error(`a schema that has no plain type yet: ${JSON.stringify(schema)}`)
  }
}

function objectType(schema: Schema, indent: string): string {
  const { properties, patternProperties, additionalProperties, required } = schema
  const [values] = Object.values(patternProperties ?? {})
  if (values !== undefined) return `Record<string, ${typeOf(values, indent)}>`
  if (typeof additionalProperties === 'object')
    return `Record<string, ${typeOf(additionalProperties, indent)}>`
  // `{}` as a type accepts anything but null.
  if (properties === undefined)
    throw new Error(`an object that has no plain type yet: ${JSON.stringify(schema)}`)
  const inner = `${indent}    `
  const fields = Object.entries(properties ?? {}).map(([name, schema]) => {
    const mark = required?.includes(name) ? '' : '?'
    return `${comment(schema, inner)}${inner}${name}${mark}: ${typeOf(schema, inner)};\n`
  })
  return `{\n${fields.join('')}${indent}}`
}

function comment({ description }: Schema, indent: string): string {
  return description === undefined ? '' : `${indent}/** ${description} */\n`
}
