/** What the front doors and their routes work with. */

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchema,
} from 'fastify'
import type { Commands } from '../commands/types.ts'
import type { Config } from '../config/types.ts'
import type { GuestdError } from '../errors.ts'
import type { Events } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { ReadinessReason, SessionInfo } from '../protocol/schemas.ts'
import type { SessionControl } from '../session/control.ts'

/** Needed by the hooks that every request goes through. */
export interface AppSettings {
  readonly config: Pick<Config, 'bodyTimeoutMs' | 'tcpHosts' | 'token'>
  /** Why guestd refuses routes without `alwaysServed` now; null: it refuses none. Called for each request. */
  readonly refusal: () => GuestdError | null
  readonly log: Log
}

/** The state of guestd, served even when everything else is refused. */
export interface ApiStatus {
  readonly session: () => SessionInfo
  readonly health: Health
}

/** The operations of guestd. Each front door serves all or some of them in its own protocol. */
export interface ApiCore extends AppSettings, ApiStatus {
  readonly commands: Commands
  readonly events: Pick<Events, 'attach' | 'isOver'>
  readonly control: SessionControl
  readonly config: AppSettings['config'] & Pick<Config, 'keepaliveMs'>
  /** Most memory for the output of all commands, in bytes. */
  readonly outputBytes: number
  /** Version of guestd. */
  readonly version: string
}

export interface Health {
  /** Whether guestd accepts commands now, and if not, why. */
  ready(): { readonly ready: boolean; readonly reasons: readonly ReadinessReason[] }
}

export type App = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/**
 * Adds routes to a scope of its own. Its hooks and parsers apply to that scope only.
 *
 * @param routes all routes of the app, including routes that are added later
 */
export type FrontDoor = (scope: App, routes: RouteList) => void

export interface Route {
  readonly method: string
  /** In Fastify's syntax: `/v1/commands/:id`. */
  readonly url: string
  readonly schema: FastifySchema | undefined
}

export interface RouteList {
  readonly all: readonly Route[]
  /** `method_not_allowed` with the Allow header if the path has a route; otherwise `not_found`. */
  refuse(request: FastifyRequest, reply: FastifyReply): GuestdError
}
