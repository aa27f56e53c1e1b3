/** The OpenAPI 3.1 document, made from the schemas of the routes: 3.1 takes JSON Schema as it is. */

import type { FastifySchema } from 'fastify'
import { errorTable } from '../../errors.ts'
import * as schemas from '../../protocol/schemas.ts'
import type { Route } from '../routes.ts'
import { Frame } from './frame-schema.ts'

type Json = Readonly<Record<string, unknown>>

/** Schemas with a name of their own; wherever they appear a reference stands for them. */
const named: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  [Frame, 'Frame'],
  ...Object.entries(schemas)
    .filter(([, schema]) => isObject(schema))
    .map(([name, schema]): [unknown, string] => [schema, name]),
])

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
    paths,
    components: {
      schemas: Object.fromEntries([...named].map(([schema, name]) => [name, members(schema)])),
    },
    'x-guestd-errors': Object.entries(errorTable).map(([code, row]) => ({ code, ...row })),
  }
}

function operation({ method, url, schema = {} }: Route): Json {
  const { summary, description, body } = schema
  return {
    operationId: `${method.toLowerCase()}${url.replace(/[/:]+(\w)/g, (_, first) => first.toUpperCase())}`,
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
    return { requestBody: { content: Object.fromEntries(consumes.map(type => [type, {}])) } }
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

/** The same, with a reference in place of each schema that has a name. */
function reference(value: unknown): unknown {
  const name = named.get(value)
  return name === undefined ? members(value) : { $ref: `#/components/schemas/${name}` }
}

function members(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reference)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, reference(one)]))
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
