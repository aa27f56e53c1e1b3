/** The calls that have a single reply. */

import type {
  ClearedTemporary,
  CommandInfo,
  CommandList,
  KillReply,
  ReadinessReason,
  Receipt,
  SessionInfo,
  SessionStart,
  WorkspaceLargest,
} from '../protocol/schemas.ts'
import { commandPath } from './command-requests.ts'
import { ConnectError } from './connect-error.ts'
import { CLIENT_API_VERSION } from './http-reply.ts'
import { stopSession } from './stop.ts'
import type { Transport } from './transport.ts'
import type { GuestdClient, Health } from './types.ts'
import { waitUntilReady } from './wait-ready.ts'

export type Calls = Pick<
  GuestdClient,
  | 'list'
  | 'inspect'
  | 'kill'
  | 'signal'
  | 'session'
  | 'health'
  | 'ready'
  | 'assignSession'
  | 'flush'
  | 'clearTemporary'
  | 'stop'
  | 'startSession'
  | 'largest'
>

/** The reply of `/readyz`, with status 200 or 503. */
interface Readiness {
  readonly ready: boolean
  readonly reasons: readonly ReadinessReason[]
}

export function createCalls(transport: Transport): Calls {
  return {
    list: async ({ state, signal } = {}) => {
      const query = state === undefined ? '' : `?state=${state}`
      const path = `/v1/commands${query}`
      return (await transport.json<CommandList>({ method: 'GET', path, signal })).commands
    },
    inspect: async (id, { signal } = {}) =>
      await transport.json<CommandInfo>({ method: 'GET', path: commandPath(id), signal }),
    kill: async (id, { signal } = {}) =>
      await transport.json<KillReply>({
        method: 'DELETE',
        path: commandPath(id),
        signal,
        slow: true,
      }),
    signal: async (id, name, target = 'group', { signal } = {}) =>
      await transport.json<void>({
        method: 'POST',
        path: commandPath(id, '/signal'),
        body: { type: 'application/json', bytes: JSON.stringify({ signal: name, target }) },
        signal,
        ownConnection: true,
      }),
    session: async ({ signal } = {}) => await readSession(transport, signal),
    assignSession: async (request, { signal } = {}) =>
      await transport.json<SessionInfo>({
        method: 'PUT',
        path: '/v1/session',
        body: { type: 'application/json', bytes: JSON.stringify(request) },
        signal,
        slow: true,
      }),
    flush: async ({ signal } = {}) =>
      await transport.json<Receipt>({
        method: 'POST',
        path: '/v1/session/flush',
        signal,
        slow: true,
      }),
    clearTemporary: async ({ signal } = {}) =>
      await transport.json<ClearedTemporary>({
        method: 'POST',
        path: '/v1/session/clear-temporary',
        signal,
        slow: true,
      }),
    largest: async ({ count, signal } = {}) => {
      const query = count === undefined ? '' : `?count=${count}`
      const path = `/v1/session/largest${query}`
      return await transport.json<WorkspaceLargest>({ method: 'GET', path, signal, slow: true })
    },
    startSession: async ({ signal } = {}) =>
      await transport.json<SessionStart>({ method: 'POST', path: '/v1/session/start', signal }),
    stop: ({ signal } = {}) => stopSession(transport, signal),
    health: async ({ signal } = {}) => await readHealth(transport, signal),
    ready: async (options = {}) =>
      await waitUntilReady(
        {
          at: transport.at,
          health: async (timeoutMs, signal) => await readHealth(transport, signal, timeoutMs),
          session: async (timeoutMs, signal) => await readSession(transport, signal, timeoutMs),
        },
        options,
      ),
  }
}

/** @throws ConnectError `version_mismatch` if guestd has another version of the API */
async function readSession(
  transport: Transport,
  signal: AbortSignal | undefined,
  timeoutMs?: number,
): Promise<SessionInfo> {
  const exchange = { method: 'GET', path: '/v1/session', signal, timeoutMs } as const
  const info = await transport.json<SessionInfo>(exchange)
  if (info.apiVersion === CLIENT_API_VERSION) return info
  throw new ConnectError('version_mismatch', transport.at, {
    detail: `guestd ${info.version} has API version ${info.apiVersion}, this client ${CLIENT_API_VERSION}`,
  })
}

async function readHealth(
  transport: Transport,
  signal: AbortSignal | undefined,
  timeoutMs?: number,
): Promise<Health> {
  const path = '/readyz'
  const exchange = { method: 'GET', path, signal, timeoutMs, acceptedStatuses: [503] } as const
  const { ready, reasons } = await transport.json<Readiness>(exchange)
  return { alive: true, ready, reasons }
}
