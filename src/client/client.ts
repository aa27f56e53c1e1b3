/** The client: what a host can do with one guest. */

import { parseAddress } from './address.ts'
import { createCalls } from './calls.ts'
import { createCommands } from './commands-client.ts'
import { createTransport } from './transport.ts'
import type { ClientOptions, GuestdClient } from './types.ts'

/** Default of `reattachLimitMs`, in milliseconds: as long as guestd holds a command without a reader. */
const REATTACH_LIMIT_MS = 30_000

/** Default of `connectTimeoutMs`, in milliseconds. A guest under load accepts late; a paused one never does. */
const CONNECT_TIMEOUT_MS = 10_000

/** Default of `requestTimeoutMs`, in milliseconds: more than guestd needs for a reply that waits for nothing. */
const REQUEST_TIMEOUT_MS = 30_000

/**
 * Creates a client. It opens no connection before the first call.
 *
 * @throws ConnectError `bad_address`
 */
export function createClient(options: ClientOptions): GuestdClient {
  const address =
    typeof options.connect === 'string' ? parseAddress(options.connect) : options.connect
  const transport = createTransport(address, {
    connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    requestTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    connectRetryMs: options.connectRetryMs ?? 0,
    headers: { ...options.headers, ...bearer(options.token) },
  })
  const calls = createCalls(transport)
  const commands = createCommands({
    transport,
    calls,
    reattachLimitMs: options.reattachLimitMs ?? REATTACH_LIMIT_MS,
    onLost: options.onLost,
  })
  return { ...calls, ...commands, close: transport.close }
}

function bearer(token: string | undefined): Readonly<Record<string, string>> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}
