/** The list of routes: the replies to a wrong path or method and the OpenAPI document are made from it. */

import 'fastify'
import { GuestdError } from '../errors.ts'
import type { App, Route, RouteList } from './types.ts'

declare module 'fastify' {
  interface FastifySchema {
    /** What the call does, in a few words, for the OpenAPI document. */
    summary?: string
    description?: string
    /** For a body of raw bytes: a description by media type. */
    consumes?: Readonly<Record<string, string>>
  }
  interface FastifyContextConfig {
    /** Served also while guestd refuses everything else, as after the stop of the session. Default: false. */
    alwaysServed?: boolean
    /** Served without the token. Default: false. */
    needsNoToken?: boolean
  }
}

/** Lists the routes that are added to the app from now on. */
export function createRouteList(app: App): RouteList {
  const all: Route[] = []
  app.addHook('onRoute', ({ method, url, schema }) => {
    for (const one of [method].flat()) all.push({ method: one, url, schema })
  })
  return {
    all,
    refuse(request, reply) {
      const path = decoded(request.url.split('?', 1)[0] ?? '')
      const allowed = all.filter(route => matches(route.url, path)).map(route => route.method)
      if (allowed.length === 0) {
        return new GuestdError('not_found', `there is no route ${request.method} ${path}`)
      }
      const methods = [...new Set(allowed)].sort().join(', ')
      reply.header('allow', methods)
      return new GuestdError('method_not_allowed', `${path} has only ${methods}`)
    },
  }
}

/** Decodes the path as the router does: `/v1/%63ommands` is `/v1/commands`. */
function decoded(path: string): string {
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}

/** A `:name` matches one segment that is not empty. */
function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  return (
    wanted.length === given.length &&
    wanted.every((part, index) =>
      part.startsWith(':') ? given[index] !== '' : part === given[index],
    )
  )
}
