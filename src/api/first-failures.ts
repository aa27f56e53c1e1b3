/** Finds the first reason why a value does not match its schema, in one pass. */

import type { TSchema } from 'typebox'
import { Check, Errors } from 'typebox/schema'

/** A failure as TypeBox reports it; `params` depend on the keyword. */
export interface Failure {
  readonly keyword: string
  /** JSON pointer (RFC 6901). */
  readonly instancePath: string
  readonly params: object
  readonly message: string
}

/**
 * Returns the failures of the first member that fails, or of the value itself if all of its members are valid.
 * `Errors` of TypeBox describes every failing member: for a million bad members it takes seconds and hundreds of MiB.
 * So it gets the failing part only.
 */
export function firstFailures(schema: TSchema, value: unknown, path = ''): readonly Failure[] {
  const { items, properties, additionalProperties, propertyNames, ...own } = schema as Container
  if (typeof value !== 'object' || value === null) return located(Errors(schema, value)[1], path)
  for (const name in value) {
    const member: unknown = Reflect.get(value, name)
    const wanted = Array.isArray(value) ? items : memberSchema(schema, name)
    if (wanted === false) return [unknownField(`${path}/${encode(name)}`)]
    if (wanted !== undefined && !Check(wanted, member))
      return firstFailures(wanted, member, `${path}/${encode(name)}`)
    if (propertyNames !== undefined && !Check(propertyNames, name))
      return located(Errors({ propertyNames }, { [name]: null })[1], path)
  }
  return located(Errors(own, value)[1], path)
}

/** The keywords that apply to members. */
interface Container {
  readonly items?: TSchema
  readonly properties?: Readonly<Record<string, TSchema>>
  readonly additionalProperties?: TSchema | false
  readonly propertyNames?: TSchema
}

function memberSchema(schema: Container, name: string): TSchema | false | undefined {
  const { properties = {}, additionalProperties } = schema
  return Object.hasOwn(properties, name) ? properties[name] : additionalProperties
}

function unknownField(instancePath: string): Failure {
  return { keyword: 'boolean', instancePath, params: {}, message: 'is not allowed' }
}

function located(failures: readonly Failure[], path: string): readonly Failure[] {
  return failures.map(one => ({ ...one, instancePath: path + one.instancePath }))
}

/** A reference token of a JSON pointer. */
function encode(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
