/** The client: what a host can do with one guest. */

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

/** Default of `reattachLimitMs`, in milliseconds: as long as guestd holds a command without a reader. */
const REATTACH_LIMIT_MS = 30_000

/** Default of `connectTimeoutMs`, in milliseconds. A guest under load accepts late; a paused one never does. */
const CONNECT_TIMEOUT_MS = 10_000

/** Default of `requestTimeoutMs`, in milliseconds: more than guestd needs for a reply that waits for nothing. */
const REQUEST_TIMEOUT_MS = 30_000

export interface ClientOptions {
  /** `unix:PATH`, `firecracker:UDS_PATH:PORT`, `vsock:CID:PORT` or `tcp:HOST:PORT`. */
  readonly connect: string | Address
  /** Sent as `Authorization: Bearer` with every request. Default: none. */
  readonly token?: string
  /**
   * How long a stream whose connection is lost may go without new data before it fails, in milliseconds; 0: it
   * never reconnects. Default: 30,000.
   */
  readonly reattachLimitMs?: number
  /**
   * How long calls retry a guestd that has never answered, in milliseconds; 0: no retry. Default: 0.
   * `signal` and `stop` must not run twice: they are retried only if no connection was opened.
   */
  readonly connectRetryMs?: number
  /** Limit for opening one connection, in milliseconds. Default: 10,000. */
  readonly connectTimeoutMs?: number
  /**
   * Limit for the first byte of a reply, in milliseconds; 0: none. Default: 30,000. A call that waits for
   * a command or a disk (`kill`, `flush`, `clearTemporary`, `stop`, `largest`, `assignSession`, a write to
   * `stdin`) may take longer, as long as guestd answers other requests. A call that reaches the limit rejects
   * with a ConnectError `timeout`.
   */
  readonly requestTimeoutMs?: number
  /** Sent with every request, such as `traceparent`. */
  readonly headers?: Readonly<Record<string, string>>
  /** Called with the error of each lost connection, before the next attempt. */
  readonly onLost?: (error: ConnectError | GuestdError) => void
}

export interface CallOptions {
  /** Aborting it closes the connection. The call rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface OutputOptions extends CallOptions {
  /** Where to begin in the command's output, in bytes. Default: 0. */
  readonly cursor?: number
  /** Continues until the command ends, and reconnects after a loss. Default: false. */
  readonly follow?: boolean
}

export interface AttachOptions extends CallOptions {
  /** Where to begin in the command's output, in bytes. Default: 0. */
  readonly cursor?: number
}

export interface EventsOptions extends CallOptions {
  /** Begins after the event with this cursor. Default: begins with the oldest event that guestd holds. */
  readonly cursor?: string | undefined
  /** Continues until the session has stopped, and reconnects after a loss. Default: false. */
  readonly follow?: boolean
}

export interface ReadyOptions extends CallOptions {
  /** Longest wait, in milliseconds; 0: one attempt. The last attempt has at least 2 s. Default: 60,000. */
  readonly timeoutMs?: number
  /** `answers`: resolves as soon as guestd answers, ready or not. Default: `ready`. */
  readonly until?: 'ready' | 'answers'
}

export interface Health {
  readonly alive: boolean
  readonly ready: boolean
  /** Why guestd is not ready; empty if it is. */
  readonly reasons: readonly ReadinessReason[]
}

/**
 * The calls to one guest. Every call rejects with a GuestdError if guestd refuses it, with a ConnectError if
 * guestd cannot be reached, or with the reason of an aborted signal.
 */
export interface GuestdClient {
  /** Starts a command at once. Its frames are read only as the caller iterates. */
  run(request: RunRequest, options?: CallOptions): RunningCommand
  /** Starts a command that needs no reader, and resolves when it exists. Its default `timeoutMs` is 0: no limit. */
  start(request: StartRequest, options?: CallOptions): Promise<{ readonly id: string }>
  /** Takes over a command from its current reader. A slow reader makes the command wait. */
  attach(id: string, options?: AttachOptions): RunningCommand
  /** Reads a command's frames without taking it over. A reader that is too slow gets a `gap` frame. */
  output(id: string, options?: OutputOptions): AsyncIterable<Frame>
  /** Writes to a command's standard input, after the bytes that it has been given before. */
  stdin(id: string, options?: CallOptions): StdinWriter
  /** The commands that guestd holds, in the order of their start. */
  list(
    options?: CallOptions & { readonly state?: 'running' | 'ended' },
  ): Promise<readonly CommandInfo[]>
  inspect(id: string, options?: CallOptions): Promise<CommandInfo>
  /** Kills all processes of a command, and resolves when none is left. */
  kill(id: string, options?: CallOptions): Promise<KillReply>
  /**
   * Sends a signal at most once: after a lost connection it rejects, and does not retry.
   *
   * @param signal a name such as `SIGTERM`
   * @param target default: `group`
   */
  signal(id: string, signal: string, target?: SignalTarget, options?: CallOptions): Promise<void>
  session(options?: CallOptions): Promise<SessionInfo>
  /** The events of the session, each one once. Events that guestd no longer holds are reported by a `gap` event. */
  events(options?: EventsOptions): AsyncGenerator<SessionEvent, void, void>
  health(options?: CallOptions): Promise<Health>
  /**
   * Waits until guestd accepts commands, also while the guest boots and while the workspace is checked. After
   * the time limit it rejects with the last error: a ConnectError, `not_ready` if guestd answers. If waiting
   * cannot help, as with a stopped session, it rejects at once.
   */
  ready(options?: ReadyOptions): Promise<Health>
  /**
   * Assigns the session to this guest. Called again with the same id and runtimeVersion, it replaces the
   * environment and the limits, also those of idle time and lifetime.
   */
  assignSession(request: SessionRequest, options?: CallOptions): Promise<SessionInfo>
  /** What uses the space of the workspace: the `count` largest entries of each kind. Default: 10. */
  largest(options?: CallOptions & { readonly count?: number }): Promise<WorkspaceLargest>
  /**
   * Removes the files that users of commands have left in `/tmp`, `/var/tmp` and `/dev/shm`, where files can use
   * memory. Rejects with `busy` while any process of a command is left.
   */
  clearTemporary(options?: CallOptions): Promise<ClearedTemporary>
  /** Writes the workspace to its device, and resolves with a receipt. */
  flush(options?: CallOptions): Promise<Receipt>
  /**
   * Stops the session. The request is sent at the call. Await the result for the receipt, or iterate it for each
   * step and then the receipt. A second call reports the same stop, with all of its steps.
   */
  stop(options?: CallOptions): SessionStop
  /** Starts a stopped session again: guestd exits, and its service manager restarts it. */
  startSession(options?: CallOptions): Promise<SessionStart>
  /** Closes idle connections. Streams that are being read continue. */
  close(): void
}

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
