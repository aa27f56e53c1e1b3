import t from 'tap'
import type { TSchema } from 'typebox'
import { Errors } from 'typebox/schema'
import { errorTable } from '../../src/errors.ts'
import { startGuestd, until } from '../helpers/guestd.ts'

const guestd = await startGuestd(t, { config: { keepaliveMs: 100 } })

type Json = Record<string, unknown>
const document = (await guestd.request('GET', '/openapi.json')).json()
const { schemas } = document.components as { schemas: Record<string, unknown> }
const paths = document.paths as Record<string, Record<string, Json>>

/** The schema with what it refers to in place of its references. */
function resolved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolved)
  if (typeof value !== 'object' || value === null) return value
  const name = '$ref' in value ? String(value.$ref).replace('#/components/schemas/', '') : undefined
  if (name !== undefined) return resolved(schemas[name] ?? `no schema ${name}`)
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(one)]))
}

/** Why a value is not what the document says; nothing when it is. */
function failures(schema: unknown, value: unknown): readonly unknown[] {
  const [, found] = Errors(resolved(schema) as TSchema, value)
  return found
}

/** The schema of a reply that the document gives. */
function replySchema(path: string, method: string, status: string, type = 'application/json') {
  const operation = paths[path]?.[method] as Record<string, Record<string, Json>>
  const content = operation.responses?.[status]?.content as Record<string, Json> | undefined
  const schema = content?.[type]?.schema
  if (schema === undefined) throw new Error(`no schema of ${method} ${path} ${status} ${type}`)
  return schema
}

t.test('the document is OpenAPI 3.1 with every route there is', async t => {
  t.equal(document.openapi, '3.1.0')
  t.match(document.info, { title: 'guestd', version: /^\d/ })
  t.same(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
    ),
    [
      'GET /healthz',
      'GET /readyz',
      'GET /openapi.json',
      'GET /v1/session',
      'PUT /v1/session',
      'GET /v1/session/largest',
      'POST /v1/session/flush',
      'POST /v1/session/clear-temporary',
      'POST /v1/session/stop',
      'POST /v1/session/start',
      'GET /v1/events',
      'POST /v1/commands',
      'GET /v1/commands',
      'GET /v1/commands/{id}',
      'DELETE /v1/commands/{id}',
      'GET /v1/commands/{id}/output',
      'POST /v1/commands/{id}/signal',
      'POST /v1/commands/{id}/stdin',
    ],
  )
})

t.test(
  'every operation has its own id, a summary, replies, and the parameters of its path',
  async t => {
    const ids = new Set<unknown>()
    for (const [path, methods] of Object.entries(paths)) {
      for (const operation of Object.values(methods)) {
        ids.add(operation.operationId)
        t.type(operation.summary, 'string')
        t.ok(Object.keys(operation.responses as Json).length > 0)
        const inPath = (operation.parameters as Json[]).filter(one => one.in === 'path')
        const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
        t.same(
          inPath.map(one => one.name),
          names,
        )
      }
    }
    t.equal(ids.size, 18)
  },
)

t.test('every reference leads somewhere', async t => {
  const text = JSON.stringify(document)
  for (const [, name = ''] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g))
    t.ok(schemas[name], name)
  t.notMatch(text, /"\$ref":"(?!#\/components\/schemas\/)/)
})

t.test('the table of errors is there, code by code', async t => {
  t.same(
    document['x-guestd-errors'],
    Object.entries(errorTable).map(([code, row]) => ({ code, ...row })),
  )
  const { code } = (schemas.Problem as { properties: Record<string, { enum: unknown }> }).properties
  t.same(code?.enum, Object.keys(errorTable))
})

t.test('every frame on the wire is as described', async t => {
  const { Frame } = schemas
  const seen = new Set<string>()
  for (const command of [
    'printf "\\377\\n"; sleep 0.3; echo hi; exit 3',
    'kill -9 $$',
    'head -c 3000000 /dev/zero; sleep 30 &',
  ]) {
    const reply = await guestd.request('POST', '/v1/commands', { body: { command } })
    for (const frame of reply.frames()) {
      seen.add(frame.type)
      t.same(failures(Frame, frame), [])
    }
  }
  t.same([...seen].sort(), ['end', 'exit', 'keepalive', 'output', 'start'])
  t.not(failures(Frame, { type: 'end', cursor: 1 }).length, 0)
})

t.test('every event on the wire is as described', async t => {
  const schema = replySchema('/v1/events', 'get', '200', 'application/x-ndjson')
  const other = await startGuestd(t)
  await other.request('PUT', '/v1/session', { body: { id: 's' } })
  await other.request('POST', '/v1/commands', { body: { command: 'exit 3' } })
  await other.request('POST', '/v1/session/stop')
  const reply = await other.request('GET', '/v1/events')
  const lines = reply.text.trimEnd().split('\n')
  t.equal(lines.length, 6)
  for (const line of lines) t.same(failures(schema, JSON.parse(line)), [], line)
  t.not(failures(schema, { type: 'ready' }).length, 0)
})

t.test('every reply is as described', async t => {
  const ask = async (method: string, path: string, route: string, body?: object) => {
    const headers = { accept: 'application/json' }
    const call = body === undefined ? { headers } : { headers, body }
    const reply = await guestd.request(method, path, call)
    const schema = replySchema(route, method.toLowerCase(), String(reply.status))
    t.same(failures(schema, reply.json()), [], `${method} ${path}: ${reply.text}`)
  }
  const commands = '/v1/commands'
  const one = '/v1/commands/{id}'
  await ask('POST', commands, commands, { id: 'a', command: 'echo hi' })
  await ask('POST', commands, commands, { id: 'b', command: 'cat', stdin: 'open', detach: true })
  await ask('GET', '/v1/commands/a', one)
  await ask('GET', '/v1/commands/b', one)
  await ask('GET', commands, commands)
  await ask('POST', '/v1/commands/b/stdin', '/v1/commands/{id}/stdin', {})
  await ask('GET', '/v1/commands/a/output', '/v1/commands/{id}/output')
  await ask('GET', '/v1/commands/b/output', '/v1/commands/{id}/output')
  await ask('DELETE', '/v1/commands/b', one)
  await ask('GET', '/v1/session', '/v1/session')
  await ask('GET', '/healthz', '/healthz')
  await ask('GET', '/readyz', '/readyz')
  await until(async () => {
    const reply = await guestd.request('GET', '/v1/commands/b')
    return reply.json().state === 'ended'
  })
  await ask('GET', '/v1/commands/b', one)
})

t.test('every problem is as described', async t => {
  const reply = await guestd.request('POST', '/v1/commands', { body: { command: 5 } })
  const schema = replySchema('/v1/commands', 'post', '4XX', 'application/problem+json')
  t.same(failures(schema, reply.json()), [])
})

type Operation = Record<string, unknown> & { readonly responses: Json }
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    call: `${method.toUpperCase()} ${path}`,
    operation: operation as Operation,
  })),
)

/** Names of the components that a value refers to, over others too. */
function reached(value: unknown, seen = new Set<string>()): Set<string> {
  for (const [, name = ''] of JSON.stringify(value).matchAll(/#\/components\/schemas\/(\w+)"/g)) {
    if (seen.has(name)) continue
    seen.add(name)
    reached(schemas[name] ?? null, seen)
  }
  return seen
}

t.test('it has what generators of clients need', async t => {
  t.same(document.servers, [
    { url: '/', description: 'A listener of guestd: vsock, a Unix socket or TCP' },
  ])
  t.same(document.security, [{}, { token: [] }], 'a token, where a listener asks for one')
  const { securitySchemes } = document.components as { securitySchemes: Record<string, Json> }
  t.same(Object.keys(securitySchemes), ['token'])
  t.match(securitySchemes.token, { type: 'http', scheme: 'bearer', description: String })
  for (const { call, operation } of operations) {
    t.match(String(operation.operationId), /^[a-z][A-Za-z0-9]+$/, call)
    const statuses = Object.keys(operation.responses)
    t.ok(
      statuses.some(status => status.startsWith('2')),
      `${call} has a success`,
    )
    t.ok(statuses.includes('4XX'), `${call} has refusals`)
  }
})

t.test('every component is used', async t => {
  t.same(Object.keys(schemas), [...reached(paths)].sort())
  const { limits } = (schemas.RunRequest as { properties: Json }).properties
  t.same(limits, { $ref: '#/components/schemas/CommandLimits' })
})

t.test('a run request has either a command or an argv', async t => {
  const { RunRequest } = schemas
  t.same(failures(RunRequest, { command: 'true' }), [])
  t.same(failures(RunRequest, { argv: ['true'], env: {} }), [])
  t.not(failures(RunRequest, { command: 'true', argv: ['true'] }).length, 0)
  t.not(failures(RunRequest, { cwd: '/' }).length, 0)
})

t.test('every body, sent or received, has a schema', async t => {
  for (const { call, operation } of operations) {
    const bodies = [operation.requestBody, ...Object.values(operation.responses)]
    for (const body of bodies as ({ content?: Record<string, Json> } | undefined)[]) {
      for (const [type, { schema }] of Object.entries(body?.content ?? {}))
        t.ok(Object.keys(schema as Json).length > 0, `${call} ${type}`)
    }
  }
  const stop = replySchema('/v1/session/stop', 'post', '200', 'application/x-ndjson')
  t.same(stop, { $ref: '#/components/schemas/StopFrame' })
  const frames = replySchema('/v1/commands', 'post', '200', 'application/x-ndjson')
  t.same(frames, { $ref: '#/components/schemas/Frame' })
  const stdin = operations.find(({ call }) => call === 'POST /v1/commands/{id}/stdin')
  t.match(stdin?.operation.requestBody, {
    content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
  })
})

t.test('every line of a stop is as described', async t => {
  const other = await startGuestd(t)
  const { text } = await other.request('POST', '/v1/session/stop')
  const schema = replySchema('/v1/session/stop', 'post', '200', 'application/x-ndjson')
  for (const line of text.trimEnd().split('\n'))
    t.same(failures(schema, JSON.parse(line)), [], line)
})
