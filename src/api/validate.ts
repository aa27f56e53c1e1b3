/** Checks bodies, queries and path parameters against their schemas, and names the field to blame. */

import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/schema'
import { GuestdError } from '../errors.ts'
import { type Failure, firstFailures } from './first-failures.ts'
import { patternTexts } from './pattern-texts.ts'

/**
 * Fastify's validator compiler. A schema is compiled when it is first needed: most of a daemon's
 * life is spent waiting.
 *
 * Texts of a query or a path become the numbers and booleans that the schema asks for; bodies are
 * taken as they are. Nothing is filled in and nothing is taken away.
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
  // The first is where the value left the schema, except that alternatives are told one by one
  // before what they add up to, and a forbidden field before the object that has it.
  const first = failures[0]
  if (first === undefined) return new GuestdError('invalid_request', `the ${where} is not valid`)
  const isAlternative = (failure: Failure) =>
    failure.keyword === 'anyOf' && failure.instancePath === first.instancePath
  const alternatives = failures.find(isAlternative)
  const name = dotted(first.instancePath)
  const field = 'requiredProperties' in first.params ? missing(name, first.params) : name
  const detail = describe(first, field === '' ? `the ${where}` : field, alternatives !== undefined)
  return new GuestdError('invalid_request', detail, field === '' ? {} : { field })
}

function missing(name: string, params: { readonly requiredProperties: unknown }): string {
  const { requiredProperties } = params
  const property = Array.isArray(requiredProperties) ? String(requiredProperties[0]) : ''
  return name === '' ? property : `${name}.${property}`
}

function describe({ keyword, params, message }: Failure, name: string, several: boolean): string {
  if (several) return `${name} has none of the types that it may have`
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

/** A query's or a path's texts as the schema's types; what does not fit stays, to be refused. */
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
