import t from 'tap'
import { type CallOptions, startGuestd } from '../helpers/guestd.ts'

const guestd = await startGuestd(t)

interface Case {
  readonly title: string
  readonly method?: string
  readonly path?: string
  readonly call?: CallOptions
  readonly status: number
  readonly code: string
  readonly field?: string
}

const json = (body: string): CallOptions => ({
  headers: { 'content-type': 'application/json' },
  body,
})
const longId = 'a'.repeat(129)

const cases: readonly Case[] = [
  { title: 'a body that is not JSON', call: json('{'), status: 400, code: 'invalid_json' },
  { title: 'an empty body', call: json(''), status: 400, code: 'invalid_json' },
  {
    title: 'a body that is not UTF-8',
    call: {
      headers: { 'content-type': 'application/json' },
      body: Buffer.from('{"command":"\xff"}', 'latin1'),
    },
    status: 400,
    code: 'invalid_json',
  },
  {
    title: 'half of a surrogate pair',
    call: json('{"command":"echo \\ud800"}'),
    status: 400,
    code: 'invalid_json',
  },
  { title: 'no body at all', call: {}, status: 400, code: 'invalid_request' },
  { title: 'an array', call: json('[]'), status: 400, code: 'invalid_request' },
  { title: 'null', call: json('null'), status: 400, code: 'invalid_request' },
  {
    title: 'a command that is a number',
    call: { body: { command: 5 } },
    status: 400,
    code: 'invalid_request',
    field: 'command',
  },
  {
    title: 'an unknown field',
    call: { body: { command: 'true', comand: 'true' } },
    status: 400,
    code: 'invalid_request',
    field: 'comand',
  },
  {
    title: 'an unknown field of an object inside',
    call: { body: { command: 'true', limits: { memory: 5 } } },
    status: 400,
    code: 'invalid_request',
    field: 'limits.memory',
  },
  {
    title: 'a prototype',
    call: json('{"command":"true","__proto__":{"user":"root"}}'),
    status: 400,
    code: 'invalid_request',
    field: '__proto__',
  },
  {
    title: 'neither command nor argv',
    call: { body: {} },
    status: 400,
    code: 'invalid_request',
    field: 'command',
  },
  {
    title: 'both of them',
    call: { body: { command: 'true', argv: ['true'] } },
    status: 400,
    code: 'invalid_request',
    field: 'command',
  },
  {
    title: 'an empty command',
    call: { body: { command: '' } },
    status: 400,
    code: 'invalid_request',
    field: 'command',
  },
  {
    title: 'a command with a NUL byte',
    call: { body: { command: 'echo a\0b' } },
    status: 400,
    code: 'invalid_request',
    field: 'command',
  },
  {
    title: 'an argument with a NUL byte',
    call: { body: { argv: ['echo', 'a\0b'] } },
    status: 400,
    code: 'invalid_request',
    field: 'argv.1',
  },
  {
    title: 'a variable that is a number',
    call: { body: { command: 'true', env: { A: 1 } } },
    status: 400,
    code: 'invalid_request',
    field: 'env.A',
  },
  {
    title: 'a user that is neither name nor number',
    call: { body: { command: 'true', user: true } },
    status: 400,
    code: 'invalid_request',
    field: 'user',
  },
  {
    title: 'a negative time limit',
    call: { body: { command: 'true', timeoutMs: -1 } },
    status: 400,
    code: 'invalid_request',
    field: 'timeoutMs',
  },
  {
    title: 'a word that is none of the choices',
    call: { body: { command: 'true', stdin: 'pipe' } },
    status: 400,
    code: 'invalid_request',
    field: 'stdin',
  },
  {
    title: 'a text where a boolean belongs',
    call: { body: { command: 'true', detach: 'true' } },
    status: 400,
    code: 'invalid_request',
    field: 'detach',
  },
  {
    title: 'an id with a slash in it',
    call: { body: { command: 'true', id: 'a/b' } },
    status: 400,
    code: 'invalid_request',
    field: 'id',
  },
  {
    title: 'a query where there is none',
    path: '/v1/commands?detach=true',
    call: { body: { command: 'true' } },
    status: 400,
    code: 'invalid_request',
    field: 'detach',
  },
  {
    title: 'a command longer than 1 MiB',
    call: { body: { command: `#${'x'.repeat(1024 * 1024)}` } },
    status: 400,
    code: 'invalid_request',
    field: 'command',
  },
  {
    title: 'a body longer than 8 MiB',
    call: { body: { command: 'x'.repeat(8 * 1024 * 1024) } },
    status: 413,
    code: 'too_large',
  },
  {
    title: 'a body of another type',
    call: { headers: { 'content-type': 'text/plain' }, body: 'echo hi' },
    status: 415,
    code: 'unsupported_media_type',
    field: 'content-type',
  },
  {
    title: 'a form, as curl -d sends it',
    call: { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=b' },
    status: 415,
    code: 'unsupported_media_type',
    field: 'content-type',
  },
  {
    title: 'a type that is none',
    call: { headers: { 'content-type': 'json' }, body: '{"command":"true"}' },
    status: 415,
    code: 'unsupported_media_type',
    field: 'content-type',
  },
  {
    title: 'an Accept that nothing fits',
    call: { headers: { accept: 'text/html' }, body: { command: 'true' } },
    status: 406,
    code: 'not_acceptable',
    field: 'accept',
  },
  {
    title: 'an Accept that cannot be read',
    call: { headers: { accept: 'application/json;q=high' }, body: { command: 'true' } },
    status: 406,
    code: 'not_acceptable',
    field: 'accept',
  },
  {
    title: 'an unknown route',
    method: 'GET',
    path: '/v2/commands',
    status: 404,
    code: 'not_found',
  },
  {
    title: 'an unknown route with a broken body',
    path: '/v1/command',
    call: json('{'),
    status: 404,
    code: 'not_found',
  },
  {
    title: 'another method',
    method: 'PATCH',
    call: { body: { command: 'true' } },
    status: 405,
    code: 'method_not_allowed',
  },
  {
    title: 'a method that hardly anybody knows',
    method: 'PURGE',
    path: '/v1/session',
    status: 405,
    code: 'method_not_allowed',
  },
  {
    title: 'a command that there is none of',
    method: 'GET',
    path: '/v1/commands/nope',
    status: 404,
    code: 'command_not_found',
    field: 'id',
  },
  {
    title: 'an id that cannot be one',
    method: 'GET',
    path: '/v1/commands/-nope',
    status: 400,
    code: 'invalid_request',
    field: 'id',
  },
  {
    title: 'an id that is too long',
    method: 'GET',
    path: `/v1/commands/${longId}`,
    status: 400,
    code: 'invalid_request',
    field: 'id',
  },
  {
    title: 'an id that is far too long',
    method: 'GET',
    path: `/v1/commands/${longId.repeat(16)}`,
    status: 400,
    code: 'invalid_request',
    field: 'url',
  },
  {
    title: 'a broken percent-encoding',
    method: 'GET',
    path: '/v1/commands/%zz',
    status: 400,
    code: 'invalid_request',
    field: 'url',
  },
  {
    title: 'a state that there is none of',
    method: 'GET',
    path: '/v1/commands?state=paused',
    status: 400,
    code: 'invalid_request',
    field: 'state',
  },
  {
    title: 'a query that is given twice',
    method: 'GET',
    path: '/v1/commands?state=ended&state=running',
    status: 400,
    code: 'invalid_request',
    field: 'state',
  },
  {
    title: 'a cursor that is no number',
    method: 'GET',
    path: '/v1/commands/nope/output?cursor=0x10',
    status: 400,
    code: 'invalid_request',
    field: 'cursor',
  },
  {
    title: 'a cursor that no double can hold',
    method: 'GET',
    path: '/v1/commands/nope/output?cursor=99999999999999999',
    status: 400,
    code: 'invalid_request',
    field: 'cursor',
  },
  {
    title: 'a signal that is no name',
    path: '/v1/commands/nope/signal',
    call: { body: { signal: 15 } },
    status: 400,
    code: 'invalid_request',
    field: 'signal',
  },
  {
    title: 'a signal without its field',
    path: '/v1/commands/nope/signal',
    call: { body: {} },
    status: 400,
    code: 'invalid_request',
    field: 'signal',
  },
  {
    title: 'stdin of a command that there is none of',
    path: '/v1/commands/nope/stdin',
    call: { body: 'x' },
    status: 404,
    code: 'command_not_found',
    field: 'id',
  },
  {
    title: 'an expectation',
    method: 'GET',
    path: '/healthz',
    call: { headers: { expect: 'miracles' } },
    status: 400,
    code: 'invalid_request',
    field: 'expect',
  },
]

for (const { title, method = 'POST', path = '/v1/commands', call = {}, ...wanted } of cases) {
  t.test(`${title} is ${wanted.status} ${wanted.code}`, async t => {
    const reply = await guestd.request(method, path, call)
    const { title: sentence, detail, ...problem } = reply.json()
    t.equal(reply.status, wanted.status)
    t.equal(reply.headers['content-type'], 'application/problem+json')
    t.ok(reply.headers['guestd-version'])
    t.same(problem, { type: `urn:guestd:error:${wanted.code}`, ...wanted })
    t.type(sentence, 'string')
    t.type(detail, 'string')
    if (wanted.status === 405) t.match(reply.headers.allow, /^GET, HEAD(, POST)?$/)
  })
}

t.test('none of them started anything, or failed inside', async t => {
  const reply = await guestd.request('GET', '/v1/commands')
  t.same(reply.json(), { commands: [] })
  t.notMatch(guestd.log(), /"level":"(error|fatal)"/)
})
