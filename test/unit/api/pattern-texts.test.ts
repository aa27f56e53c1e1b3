import t from 'tap'
import { patternTexts } from '../../../src/api/pattern-texts.ts'
import { createValidator } from '../../../src/api/validate.ts'
import { GuestdError } from '../../../src/errors.ts'
import * as schemas from '../../../src/protocol/schemas.ts'

function* patternsOf(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return
  for (const [name, part] of Object.entries(value)) {
    if (name === 'pattern' && typeof part === 'string') yield part
    else yield* patternsOf(part)
  }
}

t.test('every pattern of the schemas is described in words', async t => {
  const patterns = new Set(patternsOf(schemas))
  t.ok(patterns.size >= 5, 'the patterns are found')
  for (const pattern of patterns) t.ok(patternTexts.has(pattern), pattern)
})

/** Why a body is refused. */
function detail(schema: object, data: unknown): string {
  const validate = createValidator({ schema, method: 'POST', url: '/', httpPart: 'body' })
  const answer: unknown = validate(data)
  const error = typeof answer === 'object' && answer !== null && 'error' in answer
  return error && answer.error instanceof GuestdError ? answer.error.message : 'it is valid'
}

t.test('a text that does not match is refused with the rule, not with the pattern', async t => {
  const { RunRequest, SignalRequest, SessionRequest, EventsQuery } = schemas
  t.equal(
    detail(SignalRequest, { signal: 'TERM' }),
    'signal must be the name of a signal, such as SIGTERM or SIGRTMIN+1',
  )
  t.match(
    detail(RunRequest, { command: 'x', id: 'a b' }),
    /^id must be 1 to 128 of the characters /,
  )
  t.equal(detail(RunRequest, { command: '\0' }), 'command must not have a NUL character in it')
  t.match(detail(EventsQuery, { cursor: '5' }), /^cursor must be the cursor of an event: a boot id/)
  for (const name of ['A=B', 'A\0'])
    t.match(detail(SessionRequest, { id: 's', env: { [name]: '' } }), /is no name of a variable: /)
})

t.test('a value of another type is refused with the types that it may have', async t => {
  const { RunRequest } = schemas
  const rows: readonly [body: object, detail: string][] = [
    [{ command: 'x', timeoutMs: '5' }, 'timeoutMs must be a whole number'],
    [{ command: 'x', detach: 1 }, 'detach must be true or false'],
    [{ command: 'x', env: ['a'] }, 'env must be an object'],
    [{ command: 'x', user: true }, 'user must be a string or a whole number'],
    [{ command: 'x', user: '' }, 'user must not be empty'],
    [{ command: 'x', user: 'a\0' }, 'user must not have a NUL character in it'],
    [{ command: '' }, 'command must not be empty'],
    [{ argv: [] }, 'argv must not be empty'],
  ]
  for (const [body, wanted] of rows) t.equal(detail(RunRequest, body), wanted)
})
