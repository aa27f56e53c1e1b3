import fc from 'fast-check'
import t from 'tap'
import * as Type from 'typebox'
import { Check } from 'typebox/schema'
import { frameSchemas } from '../../../src/protocol/schemas/frame-schema.ts'
import { matchesSchema } from '../../../src/util/matches-schema.ts'
import { Mark } from '../../../src/volume/mark-schema.ts'
import { Identity } from '../../../src/workspace/identity.ts'
import { arbitraryOf, changedOnce } from '../../helpers/arbitrary-json.ts'

/** Each with what the checks of frames and files need. */
const schemas = {
  ...frameSchemas,
  mark: Mark,
  identity: Identity,
  optional: Type.Object({
    flag: Type.Optional(Type.Boolean()),
    list: Type.Array(Type.String({ pattern: '^a+$' })),
    amount: Type.Number({ minimum: 0 }),
  }),
  map: Type.Unsafe<Record<string, string>>({
    type: 'object',
    additionalProperties: { type: 'string' },
  }),
  closed: Type.Object({ name: Type.Literal('x') }, { additionalProperties: false }),
}

/** TypeBox checks formats too; guestd does not. */
const withoutFormats = (schema: object): Type.TSchema =>
  JSON.parse(JSON.stringify(schema, (name, value) => (name === 'format' ? undefined : value)))

for (const [name, schema] of Object.entries(schemas)) {
  t.test(`${name}: the check agrees with TypeBox's`, async t => {
    const reference = withoutFormats(schema)
    const json = arbitraryOf(schema).chain(value =>
      fc.tuple(fc.constant(value), changedOnce(value)),
    )
    fc.assert(
      fc.property(json, ([value, changed]) => {
        const isMatch = matchesSchema(schema, changed)
        return matchesSchema(schema, value) && isMatch === Check(reference, changed)
      }),
      { numRuns: 300 },
    )
    t.notOk(matchesSchema(schema, null))
  })
}

t.test('a member of every object is not a member of a value', async t => {
  const schema = Type.Object({ constructor: Type.Optional(Type.String()) })
  t.ok(matchesSchema(schema, {}))
  t.notOk(matchesSchema(Type.Object({ toString: Type.Unknown() }), {}))
})

t.test('a schema with a keyword or a type that is not supported is refused', async t => {
  t.throws(() => matchesSchema(Type.String({ maxLength: 3 }), 'x'), { message: /maxLength/ })
  t.throws(() => matchesSchema(Type.Unsafe({ type: 'symbol' }), 'x'), { message: /symbol/ })
})
