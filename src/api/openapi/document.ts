/** Makes the OpenAPI 3.1 document from the schemas of the routes. OpenAPI 3.1 uses JSON Schema unchanged. */

import type { FastifySchema } from 'fastify'
import { errorTable } from '../../errors.ts'
import * as schemas from '../../protocol/schemas.ts'
import type { Route } from '../types.ts'

type Json = Readonly<Record<string, unknown>>

/** The names of components that differ from the name of their schema. */
const componentNames = new Map([['JsonFrame', 'Frame']])

/**
 * The schemas that become components: a reference replaces each of them. The key is the text of the schema, because an
 * optional member is a copy of its schema.
 */
const named: ReadonlyMap<string, string> = new Map<string, string>(
  Object.entries(schemas)
    .filter(([, schema]) => isObject(schema))
    .map(([name, schema]) => [JSON.stringify(schema), componentNames.get(name) ?? name]),
)

/** Rules that `checkRunRequest` checks instead of the schema, because its messages are better. */
const moreRules: Readonly<Record<string, Json>> = {
  RunRequest: { oneOf: [{ required: ['command'] }, { required: ['argv'] }] },
}

const PREFIX = '#/components/schemas/'

export function openApiDocument(routes: readonly Route[], version: string): Json {
  const shown = routes.filter(route => route.method !== 'HEAD')
  const paths: Record<string, Record<string, Json>> = {}
  for (const route of shown) {
    const path = route.url.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'guestd',
      version,
      description:
        'Runs commands in a guest for its host. Every reply carries the header Guestd-Version.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'A listener of guestd: vsock, a Unix socket or TCP' }],
    security: [{}, { token: [] }],
    paths,
    components: {
      schemas: usedSchemas(paths),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'The token of guestd, on listeners that ask for one',
        },
      },
    },
    'x-guestd-errors': Object.entries(errorTable).map(([code, row]) => ({ code, ...row })),
  }
}

/** The named schemas that are referenced, sorted by name. */
function usedSchemas(paths: Json): Json {
  const all = new Map([...named].map(([text, name]) => [name, text]))
  const used = new Map<string, unknown>()
  const add = (value: unknown) => {
    for (const name of namesIn(value)) {
      if (used.has(name)) continue
      const schema = { ...JSON.parse(all.get(name) ?? 'null'), ...moreRules[name] }
      const described = members(schema)
      used.set(name, described)
      add(described)
    }
  }
  add(paths)
  return Object.fromEntries([...used].sort(([a], [b]) => (a < b ? -1 : 1)))
}

function namesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(namesIn)
  if (!isObject(value)) return []
  if (typeof value.$ref === 'string') return [value.$ref.slice(PREFIX.length)]
  return Object.values(value).flatMap(namesIn)
}

function operation({ method, url, schema = {} }: Route): Json {
  const { summary, description, body } = schema
  return {
    operationId: `${method.toLowerCase()}${url.replace(/\W+(\w)/g, (_, first) => first.toUpperCase())}`,
    ...(summary === undefined ? {} : { summary }),
    ...(description === undefined ? {} : { description }),
    parameters: [...parameters(schema.params, 'path'), ...parameters(schema.querystring, 'query')],
    ...requestBody(schema.consumes, body),
    responses: responses(schema.response),
  }
}

function parameters(schema: unknown, where: 'path' | 'query'): Json[] {
  if (!isObject(schema) || !isObject(schema.properties)) return []
  const required = Array.isArray(schema.required) ? schema.required : []
  return Object.entries(schema.properties).map(([name, one]) => ({
    name,
    in: where,
    required: required.includes(name),
    schema: reference(one),
  }))
}

function requestBody(consumes: FastifySchema['consumes'], body: unknown): Json {
  if (consumes !== undefined) {
    const content = Object.entries(consumes).map(([type, description]) => [
      type,
      { schema: { type: 'string', format: 'binary', description } },
    ])
    return { requestBody: { content: Object.fromEntries(content) } }
  }
  if (body === undefined) return {}
  return {
    requestBody: { required: true, content: { 'application/json': { schema: reference(body) } } },
  }
}

function responses(response: unknown): Json {
  if (!isObject(response)) return { default: { description: 'A reply' } }
  return Object.fromEntries(
    Object.entries(response).map(([status, schema]) => [status.toUpperCase(), reply(schema)]),
  )
}

function reply(schema: unknown): Json {
  if (!isObject(schema)) return { description: 'A reply' }
  const description = schema.description ?? 'A reply'
  if (isObject(schema.content)) return { description, content: reference(schema.content) }
  if (schema.type === 'null') return { description }
  return { description, content: { 'application/json': { schema: reference(schema) } } }
}

/** Replaces each schema that has a name by a reference. */
function reference(value: unknown): unknown {
  const name = isObject(value) ? named.get(JSON.stringify(value)) : undefined
  return name === undefined ? members(value) : { $ref: PREFIX + name }
}

function members(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reference)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, reference(one)]))
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
