import t, { type Test } from 'tap'
import { errorTable } from '../../src/errors.ts'
import { type CallOptions, type Reply, startGuestd } from '../helpers/guestd.ts'

const guestd = await startGuestd(t)

type Code = keyof typeof errorTable

/** Checks a whole problem, but for the sentences that are for people. */
function checkProblem(t: Test, reply: Reply, code: Code, field?: string | null): void {
  const { title, detail, ...problem } = reply.json()
  const { status, retryable } = errorTable[code]
  t.equal(reply.status, status)
  t.equal(reply.headers['content-type'], 'application/problem+json')
  t.ok(reply.headers['guestd-version'])
  const wanted = { type: `urn:guestd:error:${code}`, code, status, retryable }
  t.same(problem, typeof field === 'string' ? { ...wanted, field } : wanted)
  t.equal(title, errorTable[code].title)
  t.type(detail, 'string')
}

const json = (body: string | Uint8Array): CallOptions => ({
  headers: { 'content-type': 'application/json' },
  body,
})
const NESTED = 2_000_000

/** Calls of POST /v1/commands that start nothing. */
const runs: readonly [title: string, call: CallOptions, code: Code, field?: string][] = [
  ['a body that is not JSON', json('{'), 'invalid_json'],
  ['an empty body', json(''), 'invalid_json'],
  ['a body that is not UTF-8', json(Buffer.from('{"command":"\xff"}', 'latin1')), 'invalid_json'],
  ['half of a surrogate pair', json('{"command":"echo \\ud800"}'), 'invalid_json'],
  [
    'a body that nests without end',
    json(`${'['.repeat(NESTED)}"\\u0041"${']'.repeat(NESTED)}`),
    'invalid_request',
  ],
  [
    'a list of a million numbers',
    json(`{"argv":[${Array(1_000_000).fill('1').join(',')}]}`),
    'too_large',
  ],
  ['no body at all', {}, 'invalid_request'],
  ['an array', json('[]'), 'invalid_request'],
  ['null', json('null'), 'invalid_request'],
  [
    'a prototype',
    json('{"command":"true","__proto__":{"user":"root"}}'),
    'invalid_request',
    '__proto__',
  ],
  [
    'a command longer than 1 MiB',
    { body: { command: `#${'x'.repeat(1024 * 1024)}` } },
    'invalid_request',
    'command',
  ],
  ['a body longer than 8 MiB', { body: { command: 'x'.repeat(8 * 1024 * 1024) } }, 'too_large'],
  [
    'text',
    { headers: { 'content-type': 'text/plain' }, body: 'echo hi' },
    'unsupported_media_type',
    'content-type',
  ],
  [
    'a form, as curl -d sends it',
    { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=b' },
    'unsupported_media_type',
    'content-type',
  ],
  [
    'a media type that is none',
    { headers: { 'content-type': 'json' }, body: '{"command":"true"}' },
    'unsupported_media_type',
    'content-type',
  ],
  [
    'an Accept that nothing fits',
    { headers: { accept: 'text/html' }, body: { command: 'true' } },
    'not_acceptable',
    'accept',
  ],
  [
    'an Accept that cannot be read',
    { headers: { accept: 'application/json;q=high' }, body: { command: 'true' } },
    'not_acceptable',
    'accept',
  ],
]

for (const [title, call, code, field] of runs) {
  t.test(`${title} is ${code}`, async t => {
    checkProblem(t, await guestd.request('POST', '/v1/commands', call), code, field)
  })
}

/** Bodies of the right form with a field to blame. */
const bodies: readonly [title: string, body: object, field: string][] = [
  ['a command that is a number', { command: 5 }, 'command'],
  ['an unknown field', { command: 'true', comand: 'true' }, 'comand'],
  ['an unknown field inside', { command: 'true', limits: { memory: 5 } }, 'limits.memory'],
  ['neither command nor argv', {}, 'command'],
  ['both of them', { command: 'true', argv: ['true'] }, 'command'],
  ['an empty command', { command: '' }, 'command'],
  ['an empty argv', { argv: [] }, 'argv'],
  ['a command with a NUL byte', { command: 'echo a\0b' }, 'command'],
  ['an argument with a NUL byte', { argv: ['echo', 'a\0b'] }, 'argv.1'],
  ['a variable that is a number', { command: 'true', env: { A: 1 } }, 'env.A'],
  ['a variable without a name', { command: 'true', env: { '': 'x' } }, 'env'],
  ['a user that is neither name nor number', { command: 'true', user: true }, 'user'],
  ['a negative time limit', { command: 'true', timeoutMs: -1 }, 'timeoutMs'],
  ['half a millisecond', { command: 'true', timeoutMs: 0.5 }, 'timeoutMs'],
  ['a word that is none of the choices', { command: 'true', stdin: 'pipe' }, 'stdin'],
  ['a text where a boolean belongs', { command: 'true', detach: 'true' }, 'detach'],
  ['an id with a slash in it', { command: 'true', id: 'a/b' }, 'id'],
  ['a cwd of 6 MB', { command: 'true', cwd: `/${'x'.repeat(6_000_000)}` }, 'cwd'],
  ['a user of 6 MB', { command: 'true', user: 'x'.repeat(6_000_000) }, 'user'],
  ['an id of 6 MB', { command: 'true', id: 'x'.repeat(6_000_000) }, 'id'],
  ['a variable of 6 MB', { command: 'true', env: { A: 'x'.repeat(6_000_000) } }, 'env.A'],
  ['an argument of 6 MB', { argv: ['true', 'x'.repeat(6_000_000)] }, 'argv.1'],
  ['arguments that execve does not take', { argv: Array(17).fill('x'.repeat(131_000)) }, 'argv'],
  ['8,193 arguments', { argv: Array(8_193).fill('x') }, 'argv'],
  ['4,097 variables', { command: 'true', env: variables(4_097) }, 'env'],
  ['an unknown field with a name of 6 MB', { ['x'.repeat(6_000_000)]: 1 }, `${'x'.repeat(255)}…`],
]

function variables(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`A${index}`, '']))
}

for (const [title, body, field] of bodies) {
  t.test(`${title} is refused with its field`, async t => {
    const reply = await guestd.request('POST', '/v1/commands', { body })
    checkProblem(t, reply, 'invalid_request', field)
    t.ok(reply.body.length < 4_096, 'what was sent is not sent back')
  })
}

const command = { body: { command: 'true' } }
const longId = 'a'.repeat(129)

/** Calls of other routes, of none, and with other queries. */
const calls: readonly [call: string, code: Code, field?: string | null, options?: CallOptions][] = [
  ['POST /v1/commands?detach=true', 'invalid_request', 'detach', command],
  ['GET /v2/commands', 'not_found'],
  ['POST /v1/command', 'not_found', null, json('{')],
  ['PATCH /v1/commands', 'method_not_allowed', null, command],
  ['PURGE /v1/session', 'method_not_allowed'],
  ['OPTIONS /v1/commands/x/stdin', 'method_not_allowed'],
  ['GET /v1/commands/nope', 'command_not_found', 'id'],
  ['DELETE /v1/commands/nope', 'command_not_found', 'id'],
  ['GET /v1/commands/nope/output', 'command_not_found', 'id'],
  ['POST /v1/commands/nope/stdin', 'command_not_found', 'id', { body: 'x' }],
  ['GET /v1/commands/-nope', 'invalid_request', 'id'],
  [`GET /v1/commands/${longId}`, 'invalid_request', 'id'],
  [`GET /v1/commands/${longId.repeat(16)}`, 'invalid_request', 'url'],
  ['GET /v1/commands/%zz', 'invalid_request', 'url'],
  ['GET /v1/commands?state=paused', 'invalid_request', 'state'],
  ['GET /v1/commands?state=ended&state=running', 'invalid_request', 'state'],
  ['GET /v1/commands/nope/output?cursor=0x10', 'invalid_request', 'cursor'],
  ['GET /v1/commands/nope/output?cursor=-1', 'invalid_request', 'cursor'],
  ['GET /v1/commands/nope/output?cursor=99999999999999999', 'invalid_request', 'cursor'],
  ['GET /v1/commands/nope/output?follow=yes', 'invalid_request', 'follow'],
  ['POST /v1/commands/nope/stdin?end=true', 'invalid_request', 'end', { body: 'x' }],
  ['POST /v1/commands/nope/signal', 'invalid_request', 'signal', { body: { signal: 15 } }],
  ['POST /v1/commands/nope/signal', 'invalid_request', 'signal', { body: {} }],
  [
    'POST /v1/commands/nope/signal',
    'invalid_request',
    'target',
    { body: { signal: 'SIGTERM', target: 'all' } },
  ],
  ['GET /healthz', 'invalid_request', 'expect', { headers: { expect: 'miracles' } }],
]

for (const [call, code, field, options] of calls) {
  t.test(`${call.slice(0, 80)} is ${code}${field ? ` of ${field}` : ''}`, async t => {
    const [method = '', path = ''] = call.split(' ')
    const reply = await guestd.request(method, path, options)
    checkProblem(t, reply, code, field)
    if (code === 'method_not_allowed')
      t.match(reply.headers.allow, /^(GET, HEAD(, POST|, PUT)?|POST)$/)
  })
}

/** Routes without a body schema; DELETE needs a command. */
const bodiless = ['DELETE /v1/commands/done', 'POST /v1/session/flush', 'POST /v1/session/stop']
/** Headers as clients send them with no body. */
const emptyBodies: readonly [string, CallOptions['headers']][] = [
  ['no content type', {}],
  ['a JSON content type', { 'content-type': 'application/json' }],
  ['a JSON content type and length 0', { 'content-type': 'application/json', 'content-length': 0 }],
  [
    'an empty chunked JSON body',
    { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
  ],
  ['an empty form', { 'content-type': 'application/x-www-form-urlencoded', 'content-length': 0 }],
]
for (const [title, headers] of emptyBodies) {
  t.test(`a call without a body is served with ${title}`, async t => {
    const other = await startGuestd(t)
    const done = { body: { id: 'done', command: 'true' } }
    t.equal((await other.request('POST', '/v1/commands', done)).status, 200)
    for (const call of bodiless) {
      const [method = '', path = ''] = call.split(' ')
      const reply = await other.request(method, path, { headers })
      t.equal(reply.status, 200, `${call}: ${reply.text}`)
    }
  })
}

t.test('a body of another media type is refused where a route takes none, too', async t => {
  const body = { headers: { 'content-type': 'text/plain' }, body: 'x' }
  const reply = await guestd.request('POST', '/v1/session/flush', body)
  checkProblem(t, reply, 'unsupported_media_type', 'content-type')
})

t.test('none of them started anything, or failed inside', async t => {
  const reply = await guestd.request('GET', '/v1/commands')
  t.same(reply.json(), { commands: [] })
  t.notMatch(guestd.log(), /"level":"(error|fatal)"/)
})
