import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { matchExactly } from '../../helpers/match-exactly.ts'

function accepts(found: unknown, wanted: object): boolean {
  let accepted = false
  const recorder = {
    strictSame: (left: unknown, right: unknown) => {
      accepted = isDeepStrictEqual(left, right)
      return accepted
    },
  }
  matchExactly(recorder, found, wanted)
  return accepted
}

t.test('fields that are not named may have any value', async t => {
  t.ok(accepts({ a: 1, b: 2 }, { a: 1 }))
  t.ok(accepts({ a: { b: 1, c: 2 } }, { a: { b: 1 } }))
  t.ok(accepts([{ a: 1, b: 2 }, { a: 3 }], [{ a: 1 }, {}]))
  t.ok(accepts({ a: 'text', b: 3, c: true }, { a: /^t/, b: Number, c: Boolean }))
  t.ok(accepts({ a: null, b: [], c: '' }, { a: null, b: [], c: '' }))
  t.ok(accepts({ a: Buffer.from('x') }, { a: Buffer.from('x') }))
})

const REFUSED: Readonly<Record<string, readonly [found: unknown, wanted: object]>> = {
  'a longer list': [{ a: ['boom'] }, { a: [] }],
  'a list with one more': [
    [1, 2, 3],
    [1, 2],
  ],
  'a shorter list': [[1], [1, 2]],
  'another order': [
    [2, 1],
    [1, 2],
  ],
  'an object in place of a list': [{ a: { 0: 1 } }, { a: [1] }],
  'a list in place of an object': [{ a: [] }, { a: {} }],
  'a missing field for null': [{}, { a: null }],
  'undefined for null': [{ a: undefined }, { a: null }],
  'null for fields': [{ a: null }, { a: {} }],
  'a value of another type': [{ a: '5' }, { a: 5 }],
  'an empty text for 0': [{ a: '' }, { a: 0 }],
  'a part of the text': [{ a: 'abc' }, { a: 'b' }],
  'a number for a regular expression': [{ a: 12 }, { a: /1/ }],
  'a text that does not match': [{ a: 'text' }, { a: /^x/ }],
  'null for a type': [{ a: null }, { a: Number }],
  'other bytes': [{ a: Buffer.from('x') }, { a: Buffer.from('y') }],
  'nothing at all': [undefined, { a: 1 }],
}

for (const [name, [found, wanted]] of Object.entries(REFUSED)) {
  t.test(`${name} is not accepted`, async t => t.notOk(accepts(found, wanted)))
}
