/**
 * Checks JSON against a schema: what the client receives, and what files contain. Pure.
 *
 * TypeBox's own check gives the same results, and checks the requests in the daemon. It is not used here, because it would
 * add 60 kB to guestctl and to the library. A unit test compares both on the schemas that are used here.
 */

import type { Static, TSchema } from 'typebox'

/** The keywords of JSON Schema that are supported. */
interface Rules {
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Rules[]
  readonly type?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly items?: Rules
  readonly properties?: Readonly<Record<string, Rules>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Rules
}

const supported = new Set([
  ...['const', 'enum', 'anyOf', 'type', 'minimum', 'maximum', 'pattern'],
  ...['items', 'properties', 'required', 'additionalProperties'],
  // These describe a value, and do not restrict it.
  ...['description', 'format'],
])

/**
 * Whether a value that JSON.parse returned matches the schema.
 *
 * @throws TypeError for a schema with a keyword that is not supported
 */
export function matchesSchema<S extends TSchema>(schema: S, value: unknown): value is Static<S> {
  return matches(schema, value)
}

function matches(rules: Rules, value: unknown): boolean {
  checkKeywords(rules)
  if ('const' in rules && value !== rules.const) return false
  if (rules.enum !== undefined && !rules.enum.includes(value)) return false
  if (rules.anyOf !== undefined && !rules.anyOf.some(one => matches(one, value))) return false
  return rules.type === undefined || matchesType(rules.type, rules, value)
}

/** The schemas whose keywords are known to be supported. */
const checked = new WeakSet<Rules>()

function checkKeywords(rules: Rules): void {
  if (checked.has(rules)) return
  const unknown = Object.keys(rules).find(keyword => !supported.has(keyword))
  if (unknown !== undefined) throw new TypeError(`unsupported keyword of a schema: ${unknown}`)
  checked.add(rules)
}

function matchesType(type: string, rules: Rules, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'boolean':
      return typeof value === 'boolean'
    case 'integer':
      return Number.isInteger(value) && isInRange(rules, value)
    case 'number':
      return Number.isFinite(value) && isInRange(rules, value)
    case 'string':
      return typeof value === 'string' && matchesPattern(rules.pattern, value)
    case 'array':
      return Array.isArray(value) && value.every(one => matches(rules.items ?? {}, one))
    case 'object':
      return isObject(value) && matchesMembers(rules, value)
    default:
      throw new TypeError(`unsupported type of a schema: ${type}`)
  }
}

function isInRange({ minimum, maximum }: Rules, value: unknown): boolean {
  return Number(value) >= (minimum ?? -Infinity) && Number(value) <= (maximum ?? Infinity)
}

function matchesPattern(pattern: string | undefined, text: string): boolean {
  return pattern === undefined || new RegExp(pattern, 'u').test(text)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function matchesMembers(rules: Rules, object: object): boolean {
  const { properties = {}, required = [], additionalProperties: others = true } = rules
  if (!required.every(name => Object.hasOwn(object, name))) return false
  return Object.entries(object).every(([name, value]) => {
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (own !== undefined) return matches(own, value)
    return typeof others === 'boolean' ? others : matches(others, value)
  })
}
