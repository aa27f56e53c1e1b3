/** Random JSON that matches a schema, and JSON that nearly does. */
import fc from 'fast-check'

/** The keywords of JSON Schema that guestd's own schemas have. */
interface Rules {
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Rules[]
  readonly type?: string
  readonly format?: string
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: Rules
  readonly properties?: Readonly<Record<string, Rules>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Rules
}

const SECOND_OF_2100 = 4_102_444_800

const anyTime = fc
  .nat({ max: SECOND_OF_2100 })
  .map(seconds => new Date(seconds * 1_000).toISOString())

export function arbitraryOf(schema: object): fc.Arbitrary<unknown> {
  const rules: Rules = schema
  const { minimum: min = -1e9, maximum: max = 1e9 } = rules
  if ('const' in rules) return fc.constant(rules.const)
  if (rules.enum !== undefined) return fc.constantFrom(...rules.enum)
  if (rules.anyOf !== undefined) return fc.oneof(...rules.anyOf.map(arbitraryOf))
  switch (rules.type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return fc.integer({ min, max })
    case 'number':
      // JSON has no -0.
      return fc.double({ min, max, noNaN: true }).map(number => number + 0)
    case 'string':
      if (rules.pattern !== undefined) return fc.stringMatching(new RegExp(rules.pattern, 'u'))
      return rules.format === 'date-time' ? anyTime : fc.string()
    case 'array':
      return fc.array(arbitraryOf(rules.items ?? {}), { maxLength: 5 })
    case 'object':
      return arbitraryObject(rules)
    default:
      throw new Error(`no values for the schema ${JSON.stringify(schema)}`)
  }
}

function arbitraryObject(rules: Rules): fc.Arbitrary<object> {
  const { properties = {}, required = [], additionalProperties: others } = rules
  const members = Object.entries(properties).map(([name, one]) => [name, arbitraryOf(one)])
  const known = fc.record<Record<string, unknown>>(Object.fromEntries(members), {
    requiredKeys: [...required],
    noNullPrototype: true,
  })
  if (typeof others !== 'object') return known
  return fc
    .tuple(fc.dictionary(fc.string(), arbitraryOf(others), { noNullPrototype: true }), known)
    .map(([more, own]) => ({ ...more, ...own }))
}

/** JSON in which one member or element, at any depth, is replaced, added or missing. */
export function changedOnce(value: unknown): fc.Arbitrary<unknown> {
  const other = fc.oneof(
    fc.constantFrom<unknown>(null, true, '', 'x', -1, 0, 1.5, 2 ** 53, {}, []),
    fc.jsonValue({ maxDepth: 2 }),
  )
  if (typeof value !== 'object' || value === null) return other
  if (Array.isArray(value)) {
    const elements = value.map((one, index) => changedOnce(one).map(to => value.with(index, to)))
    return fc.oneof(
      other,
      other.map(one => [...value, one]),
      ...elements,
    )
  }
  const members = Object.entries(value).flatMap(([name, one]) => [
    changedOnce(one).map(to => ({ ...value, [name]: to })),
    fc.constant(Object.fromEntries(Object.entries(value).filter(([own]) => own !== name))),
  ])
  return fc.oneof(
    other,
    other.map(one => ({ ...value, more: one })),
    ...members,
  )
}
