/** What the routes work with. */

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Commands } from '../commands/types.ts'
import type { Config } from '../config/config.ts'
import type { GuestdError } from '../errors.ts'
import type { Events } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { ReadinessReason, SessionInfo } from '../protocol/schemas.ts'
import type { SessionControl } from '../session/control.ts'

export interface ApiOptions {
  readonly commands: Commands
  readonly session: () => SessionInfo
  readonly events: Pick<Events, 'attach' | 'isOver'>
  readonly control: SessionControl
  readonly health: Health
  /** Why every call but those for health, the session and its events is refused now; null: it is not. */
  readonly refusal?: () => GuestdError | null
  readonly config: Pick<Config, 'bodyTimeoutMs' | 'keepaliveMs' | 'tcpHosts' | 'token'>
  /** Memory that the output of all commands takes, in bytes. */
  readonly outputBytes: number
  readonly log: Log
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
