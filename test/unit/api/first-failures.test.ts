import t from 'tap'
import * as Type from 'typebox'
import { firstFailures } from '../../../src/api/first-failures.ts'
import { createValidator } from '../../../src/api/validate.ts'
import { GuestdError } from '../../../src/errors.ts'
import { RunRequest, SessionRequest } from '../../../src/protocol/schemas.ts'

/** An array or object that counts how many of its members are looked at. */
function counted<T extends object>(value: T): { readonly value: T; readonly looks: () => number } {
  let looks = 0
  const get = (target: T, name: string | symbol) => {
    if (name !== 'length') looks += 1
    return Reflect.get(target, name)
  }
  return { value: new Proxy(value, { get }), looks: () => looks }
}

t.test('no member after the first bad one is looked at', async t => {
  const bad = counted(Array(100_000).fill(1))
  const failures = firstFailures(RunRequest, { argv: bad.value })
  t.equal(failures[0]?.instancePath, '/argv/0')
  // The check of the whole array and that of the member: neither depends on its length.
  t.ok(bad.looks() < 20, `${bad.looks()} looks`)
})

t.test('each unknown field but the first is passed over', async t => {
  const fields = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`a${i}`, 1]))
  const unknown = counted(fields)
  const failures = firstFailures(RunRequest, unknown.value)
  t.equal(failures.length, 1)
  t.equal(failures[0]?.instancePath, '/a0')
  t.ok(unknown.looks() < 20, `${unknown.looks()} looks`)
})

t.test('a list that is too long is one failure, however many members it has', async t => {
  const list = Type.Array(Type.String(), { maxItems: 2 })
  const failures = firstFailures(list, ['a', 'b', 'c'])
  t.equal(failures.length, 1)
  t.equal(failures[0]?.keyword, 'maxItems')
})

const refusalOf = (schema: Type.TSchema, data: unknown) => {
  const validate = createValidator({ schema, httpPart: 'body', method: 'POST', url: '/' })
  const result: unknown = validate(data)
  const { error } = result as { error?: unknown }
  if (!(error instanceof GuestdError)) throw new Error('it is valid')
  return error
}

t.test('the field to blame is the same as before, nested and escaped ones too', async t => {
  const field = (data: unknown, schema: Type.TSchema = RunRequest) => refusalOf(schema, data).field
  t.equal(field({ argv: ['a', 'b', 3] }), 'argv.2')
  t.equal(field({ command: 'x', env: { A: 'x', 'B/~c': 1 } }), 'env.B/~c')
  t.equal(field({ command: 'x', limits: { pids: 0 } }), 'limits.pids')
  t.equal(field({ command: 'x', limits: { disk: 1 } }), 'limits.disk')
  t.equal(field({ command: 'x', user: {} }), 'user')
  t.equal(field({}, SessionRequest), 'id')
  t.equal(field({ id: 'x', env: { 'A=B': 'c' } }, SessionRequest), 'env.A=B')
  t.equal(field([], SessionRequest), undefined)
})

t.test('the detail and the field of a refusal are bounded, whatever was sent', async t => {
  const { message, field } = refusalOf(RunRequest, { [`${'x'.repeat(255)}😀`.repeat(10_000)]: 1 })
  t.equal(message.length, 2_048)
  t.equal(field?.length, 256)
  t.ok(message.isWellFormed())
  t.ok(field?.isWellFormed())
})
