import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import t from 'tap'
import { MAX_JSON_BYTES, parseJson, readBody } from '../../../src/api/json-body.ts'
import { MAX_JSON_DEPTH, MAX_JSON_MEMBERS } from '../../../src/api/json-bounds.ts'
import { createMemoryBudget, FREE_BYTES } from '../../../src/api/memory-budget.ts'
import { GuestdError } from '../../../src/errors.ts'
import { thrownBy } from '../../helpers/thrown-by.ts'

const codeOf = (text: string) => {
  const thrown = thrownBy(() => parseJson(Buffer.from(text)))
  return thrown instanceof GuestdError ? thrown.code : thrown
}

t.test('a body has at most so many values, wherever they are', async t => {
  const list = (count: number) => `[${Array(count).fill('1').join(',')}]`
  t.equal(codeOf(list(MAX_JSON_MEMBERS)), undefined)
  t.equal(codeOf(list(MAX_JSON_MEMBERS + 1)), 'too_large')
  const member = (_: unknown, index: number) => `"a${index}":{}`
  t.equal(codeOf(`{${Array.from({ length: MAX_JSON_MEMBERS }, member).join(',')}}`), 'too_large')
  t.equal(codeOf(`[${Array(MAX_JSON_MEMBERS).fill('[]').join(',')}]`), 'too_large')
})

t.test('commas, brackets and escaped quotes inside of strings are no values', async t => {
  const text = JSON.stringify(',[{"\\'.repeat(MAX_JSON_MEMBERS))
  t.equal(codeOf(`{"a":${text}}`), undefined)
})

t.test('a body nests to a bound, and what is too large is refused before it is parsed', async t => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  t.equal(codeOf(nested(MAX_JSON_DEPTH)), undefined)
  t.equal(codeOf(nested(MAX_JSON_DEPTH + 1)), 'invalid_request')
  // Neither text is JSON: a parser would say so.
  t.equal(codeOf('['.repeat(1_000_000)), 'invalid_request')
  t.equal(codeOf(','.repeat(1_000_000)), 'too_large')
  t.equal(codeOf('{"a'), 'invalid_json')
  t.equal(codeOf('{"a\\'), 'invalid_json')
})

t.test('unfinished bodies share a budget, of which the beginning of each is free', async t => {
  const budget = createMemoryBudget(100)
  const first = budget.open()
  const second = budget.open()
  t.ok(first.hold(FREE_BYTES))
  t.ok(first.hold(FREE_BYTES + 90))
  t.ok(second.hold(FREE_BYTES + 10))
  t.notOk(second.hold(FREE_BYTES + 11))
  t.ok(budget.open().hold(FREE_BYTES))
  first.release()
  first.release()
  t.ok(second.hold(FREE_BYTES + 100))
  t.notOk(budget.open().hold(FREE_BYTES + 1))
})

const bodyOf = () => {
  const body = new IncomingMessage(new Socket())
  return { body, headers: body.headers }
}

t.test(
  'a body that comes in many small pieces is one buffer, and gives its share back',
  async t => {
    let held = 0
    const open = () => ({
      hold: (bytes: number) => {
        held = bytes
        return true
      },
      release: () => {
        held = 0
      },
    })
    const { body } = bodyOf()
    const read = readBody(body, { timeoutMs: 10_000, budget: { open } })
    const text = 'abcdefghij'.repeat(1_000)
    for (const byte of Buffer.from(text)) body.push(Buffer.of(byte))
    await new Promise(resolve => setImmediate(resolve))
    t.ok(held >= text.length && held <= 2 * text.length, `${held} bytes are held`)
    body.push(null)
    t.equal((await read).toString(), text)
    t.equal(held, 0)
  },
)

t.test('a body past the budget is refused, one past its own limit too', async t => {
  for (const [limit, bytes, code] of [
    [10, FREE_BYTES + 11, 'overloaded'],
    [2 * MAX_JSON_BYTES, MAX_JSON_BYTES + 1, 'too_large'],
  ] as const) {
    const budget = createMemoryBudget(limit)
    const { body } = bodyOf()
    const read = readBody(body, { timeoutMs: 10_000, budget })
    body.push(Buffer.alloc(bytes))
    await t.rejects(read, { code })
    t.ok(budget.open().hold(FREE_BYTES + limit), 'nothing is held any more')
  }
})
