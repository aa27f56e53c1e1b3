/** Checks bodies, queries and path parameters against their schemas, and names the field at fault. */

import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/schema'
import { GuestdError } from '../errors.ts'
import { type Failure, firstFailures } from './first-failures.ts'
import { patternTexts } from './pattern-texts.ts'

/**
 * Fastify's validator compiler. It compiles a schema when a request first needs it, which keeps the start short.
 *
 * Texts of a query or a path are converted to the numbers and booleans of the schema. A body is not converted. No default
 * is filled in, and nothing is removed.
 */
export const createValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  let compiled: ReturnType<typeof Compile> | undefined
  const isText = httpPart !== 'body'
  const where = httpPart === 'body' || httpPart === undefined ? 'body' : httpPart
  return (data: unknown) => {
    compiled ??= Compile(schema)
    const value = isText ? fromTexts(schema, data) : data
    if (compiled.Check(value)) return { value }
    return { error: refusal(firstFailures(schema, value), where) }
  }
}

function refusal(failures: readonly Failure[], where: string): GuestdError {
  // The first failure has the path at fault. A union reports each of its alternatives at the same path: if the type of
  // one alternative matches, report the rule that the value breaks there.
  const at = failures[0]?.instancePath
  const here = failures.filter(failure => failure.instancePath === at)
  const first = here.find(({ keyword }) => keyword !== 'type' && keyword !== 'anyOf') ?? here[0]
  if (first === undefined) return new GuestdError('invalid_request', `the ${where} is not valid`)
  const name = dotted(first.instancePath)
  const field = 'requiredProperties' in first.params ? missing(name, first.params) : name
  const types = here.filter(({ keyword }) => keyword === 'type').map(typeOf)
  const detail = describe(first, field === '' ? `the ${where}` : field, types)
  return new GuestdError('invalid_request', detail, field === '' ? {} : { field })
}

function missing(name: string, params: { readonly requiredProperties: unknown }): string {
  const { requiredProperties } = params
  const property = Array.isArray(requiredProperties) ? String(requiredProperties[0]) : ''
  return name === '' ? property : `${name}.${property}`
}

/** The texts for the keyword `type`. */
const typeTexts: Readonly<Record<string, string>> = {
  array: 'an array',
  boolean: 'true or false',
  integer: 'a whole number',
  null: 'null',
  number: 'a number',
  object: 'an object',
  string: 'a string',
}

function typeOf({ params }: Failure): string {
  const type = 'type' in params ? String(params.type) : ''
  return typeTexts[type] ?? type
}

function describe(
  { keyword, params, message }: Failure,
  name: string,
  types: readonly string[],
): string {
  if (keyword === 'type') return `${name} must be ${types.join(' or ')}`
  if ('limit' in params && params.limit === 1 && /^min(Length|Items)$/.test(keyword))
    return `${name} must not be empty`
  if (keyword === 'boolean') return `${name} is not known here`
  if (keyword === 'required') return `${name} is required`
  if ('allowedValues' in params && Array.isArray(params.allowedValues)) {
    return `${name} must be one of ${params.allowedValues.join(', ')}`
  }
  const rule = 'pattern' in params ? patternTexts.get(String(params.pattern)) : undefined
  if (rule !== undefined) return `${name} ${rule}`
  return `${name} ${message}`
}

/** `/env/A~1B` is `env.A/B`. */
function dotted(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.')
}

/** Converts texts to the types of the schema. A text that does not convert stays, and the check refuses it. */
function fromTexts(schema: TSchema, data: unknown): unknown {
  if (typeof data !== 'object' || data === null || !('properties' in schema)) return data
  const properties = schema.properties as Readonly<Record<string, { readonly type?: unknown }>>
  const entries = Object.entries(data).map(([name, text]: [string, unknown]) => {
    const type = Object.hasOwn(properties, name) ? properties[name]?.type : undefined
    return [name, typeof text === 'string' ? fromText(type, text) : text]
  })
  return Object.fromEntries(entries)
}

function fromText(type: unknown, text: string): unknown {
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (type === 'integer') return /^-?\d{1,17}$/.test(text) ? Number(text) : text
  return text
}
