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

/** What every request goes through needs this, whatever is served. */
export interface AppSettings {
  readonly config: Pick<Config, 'bodyTimeoutMs' | 'tcpHosts' | 'token'>
  /**
   * Why guestd refuses every route without `alwaysServed` now; null: it refuses none. Called for each request.
   */
  readonly refusal: () => GuestdError | null
  readonly log: Log
}

/** What guestd can say of itself, also when it can do nothing else. */
export interface ApiStatus {
  readonly session: () => SessionInfo
  readonly health: Health
}

/** What guestd does for its host. Each front door offers it, or a part of it, in its own form. */
export interface ApiCore extends AppSettings, ApiStatus {
  readonly commands: Commands
  readonly events: Pick<Events, 'attach' | 'isOver'>
  readonly control: SessionControl
  readonly config: AppSettings['config'] & Pick<Config, 'keepaliveMs'>
  /** Memory that the output of all commands takes, in bytes. */
  readonly outputBytes: number
  /** Version of guestd. */
  readonly version: string
}

export interface Health {
  /** Whether commands would be taken now, and if not, why. */
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
 * Adds routes to the scope that it gets. Hooks and parsers that it adds count in that scope alone.
 *
 * @param routes all routes of the app, also those that are added later
 */
export type FrontDoor = (scope: App, routes: RouteList) => void

export interface Route {
  readonly method: string
  /** As Fastify writes it: `/v1/commands/:id`. */
  readonly url: string
  readonly schema: FastifySchema | undefined
}

export interface RouteList {
  readonly all: readonly Route[]
  /** `method_not_allowed`, with the Allow header, where the path has a route; else `not_found`. */
  refuse(request: FastifyRequest, reply: FastifyReply): GuestdError
}
