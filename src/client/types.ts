/** The types of the client's requests and results. They are published. */

import type { GuestdError } from '../errors.ts'
import type { EndFacts, ExitFacts, Frame } from '../protocol/frames.ts'
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
  StopFrame,
  StopReceipt,
  RunRequest as WireRunRequest,
  WorkspaceLargest,
} from '../protocol/schemas.ts'
import type { Address } from './address.ts'
import type { ConnectError } from './connect-error.ts'

/** Either a script, or a program and its arguments. */
export type Program =
  | {
      /** A script, run with `bash -c`: at most 1 MiB of UTF-8, without NUL. */
      command: string
      argv?: undefined
    }
  | {
      /** A program and its arguments, run without a shell. */
      argv: string[]
      command?: undefined
    }

/** A command to start. `start` sets `detach`, `run` does not. */
export type StartRequest = Omit<WireRunRequest, 'detach' | 'command' | 'argv'> & Program

/** Bytes, or text that is sent as UTF-8; in one piece, or in pieces as a stream gives them. */
export type Input = string | Uint8Array | AsyncIterable<string | Uint8Array>

/** A command to run. */
export type RunRequest = StartRequest & {
  /**
   * The complete standard input; do not set `stdin`. The client writes it as fast as the command reads it, then closes it.
   * If reading or writing it fails, the command is killed, and the call rejects with the error.
   */
  readonly input?: Input | undefined
}

/** How a command ended. */
export interface CommandResult extends ExitFacts, EndFacts {
  readonly id: string
}

export interface CollectedResult extends CommandResult {
  /** The last bytes of standard output, at most `maxBytes`. */
  readonly stdout: Buffer
  /** The last bytes of standard error, at most `maxBytes`. */
  readonly stderr: Buffer
  /** Bytes of standard output before those in `stdout`, which are not kept. */
  readonly stdoutCut: number
  /** Bytes of standard error before those in `stderr`, which are not kept. */
  readonly stderrCut: number
}

export interface StdinWriter {
  /**
   * Queues a chunk behind the chunks of earlier calls. Resolves once all of the chunk is in the buffer, so a command that
   * reads slowly slows down its writer. The chunk must not change afterwards.
   *
   * @throws GuestdError `stdin_closed` once the command no longer reads, `command_not_found`;
   * ConnectError if guestd cannot be reached; Error after `end`
   */
  write(chunk: Uint8Array | string): Promise<void>
  /** Sends the queued chunks and EOF. Resolves when guestd has accepted them. Idempotent. */
  end(): Promise<void>
  /** Number of bytes that guestd has accepted from this writer: the offset of the next one. */
  readonly acceptedBytes: number
}

/**
 * A running command. Iterate it, once, to read its frames. The connection is read only as fast as frames are asked for,
 * so a slow consumer makes the command wait.
 *
 * Leaving the iteration, or aborting the signal, closes the connection. The request's `onDisconnect` decides what happens
 * to the command. With `kill` it ends with cause `disconnected`. With `keep`, the default, it waits at full buffers for
 * guestd's `reattachGraceMs`, and then continues without a reader; `attach` takes it over by its id. `kill()` ends it.
 */
export interface RunningCommand extends AsyncIterable<Frame> {
  /** Chosen by the client, so that it can safely repeat a request that was cut before its reply. */
  readonly id: string
  /** Resolves when guestd has replied: the command exists. */
  readonly accepted: Promise<void>
  /**
   * Needs `stdin: 'open'` in the request, otherwise writing rejects with `stdin_closed`. While a write waits before the
   * frames are read, the client reads up to 64 MiB of frames ahead; with more, the write rejects.
   */
  readonly stdin: StdinWriter
  /**
   * Resolves when the iteration reaches the last frame. Rejects if the iteration fails or is left, and at once if guestd
   * refuses the request. If nothing iterates the command by the time that guestd accepts it, reading this property reads
   * the frames to the end and drops the output.
   */
  readonly result: Promise<CommandResult>
  /**
   * Reads all frames. Call it instead of iterating.
   *
   * @param options `maxBytes`: last bytes kept of each stream; default 1 MiB
   */
  collect(options?: { readonly maxBytes?: number }): Promise<CollectedResult>
  /** Kills all processes of the command. Resolves when none is left. */
  kill(): Promise<KillReply>
  /** @param target default `group` */
  signal(signal: string, target?: SignalTarget): Promise<void>
}

/**
 * A stop of the session. The request is sent at the call. Await it to get the receipt, or iterate it to get each step from
 * the first one on, and then the receipt. Leaving the iteration does not cancel the stop.
 */
export interface SessionStop extends Promise<StopReceipt>, AsyncIterable<StopFrame> {}

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
