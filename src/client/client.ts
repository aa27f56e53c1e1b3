/** The host's view of one guest. */

import type { GuestdError } from '../errors.ts'
import type { Frame } from '../protocol/frames.ts'
import type {
  ClearedTemporary,
  CommandInfo,
  KillReply,
  ReadinessReason,
  Receipt,
  SessionEvent,
  SessionInfo,
  SessionRequest,
  SessionStart,
  SignalTarget,
  WorkspaceLargest,
} from '../protocol/schemas.ts'
import { type Address, parseAddress } from './address.ts'
import { createCalls } from './calls.ts'
import { createCommands } from './commands-client.ts'
import type { ConnectError } from './connect-error.ts'
import { createTransport } from './transport.ts'
import type { RunningCommand, RunRequest, SessionStop, StartRequest, StdinWriter } from './types.ts'

/** Longest that a lost connection is tried again: as long as guestd holds a cut command. */
const REATTACH_LIMIT_MS = 30_000

/** A guest under load takes long to accept; a paused one never does. */
const CONNECT_TIMEOUT_MS = 10_000

/** Above what guestd takes for any reply that waits for nothing else. */
const REQUEST_TIMEOUT_MS = 30_000

export interface ClientOptions {
  /** `unix:PATH`, `firecracker:UDS_PATH:PORT`, `vsock:CID:PORT` or `tcp:HOST:PORT`. */
  readonly connect: string | Address
  /** Sent as `Authorization: Bearer` with every request. Default: none. */
  readonly token?: string
  /** Longest time without anything new, in milliseconds; 0: never re-attach. Default: 30,000. */
  readonly reattachLimitMs?: number
  /**
   * How long a guestd that has never answered is tried again, in milliseconds; 0: not at all. Default: 0.
   * What may not happen twice (`signal`, `stop`) is repeated only where there was no connection.
   */
  readonly connectRetryMs?: number
  /** Limit for opening one connection, in milliseconds. Default: 10,000. */
  readonly connectTimeoutMs?: number
  /**
   * Limit for the first byte of a reply, in milliseconds; 0: none. Default: 30,000. A call that waits for
   * a command or a disk (`kill`, `flush`, `clearTemporary`, `stop`, `largest`, `assignSession`, a write to `stdin`) may take longer
   * as long as guestd answers other requests. A call that reaches the limit rejects with a ConnectError
   * `timeout`.
   */
  readonly requestTimeoutMs?: number
  /** Sent with every request, such as `traceparent`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Told of each loss before the next attempt. */
  readonly onLost?: (error: ConnectError | GuestdError) => void
}

export interface CallOptions {
  /** Closes the connection; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface OutputOptions extends CallOptions {
  /** Position in the log to begin after, in bytes. Default: 0. */
  readonly cursor?: number
  /** Go on until the end of the command, over lost connections too. Default: false. */
  readonly follow?: boolean
}

export interface AttachOptions extends CallOptions {
  /** Position in the log to begin after, in bytes. Default: 0. */
  readonly cursor?: number
}

export interface EventsOptions extends CallOptions {
  /** Of the last event that was seen; default: all that guestd holds. */
  readonly cursor?: string | undefined
  /** Go on until the session has stopped, over lost connections too. Default: false. */
  readonly follow?: boolean
}

export interface ReadyOptions extends CallOptions {
  /** Longest wait in milliseconds; 0: one attempt. The last attempt has 2 s. Default: 60,000. */
  readonly timeoutMs?: number
  /** `answers`: also a guestd that is not ready, such as while it waits for its session. Default: `ready`. */
  readonly until?: 'ready' | 'answers'
}

export interface Health {
  readonly alive: boolean
  readonly ready: boolean
  /** Why it is not ready; empty when it is. */
  readonly reasons: readonly ReadinessReason[]
}

/**
 * Every call rejects with a GuestdError where guestd refuses (its `code` is of `errorTable`), with a
 * ConnectError where guestd cannot be reached, or with the reason of an aborted signal.
 */
export interface GuestdClient {
  /** Starts a command at once, and reads its frames as they are asked for. */
  run(request: RunRequest, options?: CallOptions): RunningCommand
  /** Starts a command that needs no reader. The default of `timeoutMs` is then 0: no limit. */
  start(request: StartRequest, options?: CallOptions): Promise<{ readonly id: string }>
  /** Takes over a command from whoever started it: a slow read makes it wait. */
  attach(id: string, options?: AttachOptions): RunningCommand
  /** Reads a command's frames without a hold on it: who reads too slowly gets a `gap`. */
  output(id: string, options?: OutputOptions): AsyncIterable<Frame>
  /** Writes to the standard input of a command, after what it has been given already. */
  stdin(id: string, options?: CallOptions): StdinWriter
  list(
    options?: CallOptions & { readonly state?: 'running' | 'ended' },
  ): Promise<readonly CommandInfo[]>
  inspect(id: string, options?: CallOptions): Promise<CommandInfo>
  /** Kills all of a command's processes; resolves once none is left. */
  kill(id: string, options?: CallOptions): Promise<KillReply>
  /** @param target default `group`. Sent at most once, so a loss is told, not mended. */
  signal(id: string, signal: string, target?: SignalTarget, options?: CallOptions): Promise<void>
  session(options?: CallOptions): Promise<SessionInfo>
  /** What happens to the session, each event once; what is not held any more is a `gap`. */
  events(options?: EventsOptions): AsyncGenerator<SessionEvent, void, void>
  health(options?: CallOptions): Promise<Health>
  /**
   * Waits until guestd takes commands: over a guest that is not there yet, and a workspace that is being
   * checked. After the time limit it rejects with the last error, a ConnectError: `not_ready` where guestd
   * answers. What cannot pass rejects at once, as a guestd that has stopped does.
   */
  ready(options?: ReadyOptions): Promise<Health>
  /**
   * Sets which session this is. Called again with the same id and runtimeVersion, it renews the rest: environment,
   * limits, idle and lifetime limit.
   */
  assignSession(request: SessionRequest, options?: CallOptions): Promise<SessionInfo>
  /** Who takes the space of the workspace; `count` of each, 10 unless given. */
  largest(options?: CallOptions & { readonly count?: number }): Promise<WorkspaceLargest>
  /**
   * Removes what users of commands have left in `/tmp`, `/var/tmp` and `/dev/shm`, where files can be memory.
   * Rejects with `busy` while anything of a command is left.
   */
  clearTemporary(options?: CallOptions): Promise<ClearedTemporary>
  /** Makes durable all that was written to the workspace. */
  flush(options?: CallOptions): Promise<Receipt>
  /**
   * Stops the session, at the call. Awaited it is the receipt; iterated it is each step as it goes, and
   * last the receipt. Asked again it is the same stop, with all of its steps.
   */
  stop(options?: CallOptions): SessionStop
  /** Starts a stopped session again: guestd ends itself, and its service manager starts it. */
  startSession(options?: CallOptions): Promise<SessionStart>
  /** Closes idle connections; commands that are being read go on. */
  close(): void
}

/**
 * Connects to nothing yet: the first call does.
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
