/** Commands as the API sees them: the registry, a command, and a reader of its log. */

import type { Frame } from '../protocol/frames.ts'
import type { CommandInfo, KillReply, RunRequest, SignalTarget } from '../protocol/schemas.ts'
import type { Trace } from '../protocol/trace-context.ts'
import type { Turn, TurnRequest } from './writer-queue.ts'

export interface Commands {
  /**
   * Runs a command, or finds the command that the same `id` and body have already started.
   *
   * The environment of a new command has the trace.
   *
   * Resolves once the launch succeeded or failed (a failed launch is a command too, with cause
   * `spawn`). A request with an id that is still launching waits for that launch.
   *
   * @throws GuestdError `cwd_not_found`, `cwd_not_directory`, `user_unknown`, `user_not_allowed`,
   * `limit_unavailable`, `id_conflict`, `too_many_commands`, `stopping`, `workspace_unavailable`,
   * `workspace_full`:
   * nothing was started.
   */
  run(
    request: RunRequest,
    trace?: Trace | null,
  ): Promise<{ readonly command: Command; readonly created: boolean }>
  /** @throws GuestdError `command_not_found` */
  get(id: string): Command
  /** Oldest first. */
  list(): readonly Command[]
  readonly counts: { readonly running: number; readonly ended: number }
}

export interface Command {
  readonly id: string
  readonly state: 'running' | 'ended'
  /** The end is announced and every pipe is closed: no byte follows. */
  readonly isComplete: boolean
  readonly request: { readonly detach: boolean; readonly onDisconnect: 'keep' | 'kill' }
  info(): CommandInfo
  /** @throws GuestdError `cursor_out_of_range` */
  attach(options: AttachOptions): FrameReader
  readonly stdin: CommandStdin
  /** @throws GuestdError `command_ended`; `invalid_request` (field `signal`) for a name the kernel lacks. */
  signal(signal: string, target: SignalTarget): void
  /** Repeats SIGKILL until the containment is empty, and resolves only then. The pipes are read and closed. */
  kill(): Promise<KillReply>
}

export interface AttachOptions {
  /** Position in the log to begin after, in bytes; 0 is the beginning. */
  readonly cursor: number
  /** Continue until the end of the command; else the reader is done at the present end of the log. */
  readonly follow: boolean
  /**
   * The last event that the client received in an earlier stream, with `cursor` after it; what it received is not
   * sent again. Default: none, and `exit` is sent wherever `cursor` is.
   */
  readonly seen?: 'output' | 'exit' | 'end'
  /** Take the starter's role: a slow read makes the command wait, an early close starts the grace. */
  readonly hold: boolean
}

/**
 * A reader pulls: only its cursor in the log is kept for it. `start` comes first, `exit` and `end` last. A reader that
 * falls behind the oldest byte of the log gets a `gap`.
 */
export interface FrameReader {
  /**
   * The next frame, or `null` when there is none at present: then `onReadable` will be called once
   * there is one, or once `done` is true.
   *
   * @param maxBytes most bytes in an output frame
   */
  read(maxBytes: number): Frame | null
  /**
   * The caller does not use the bytes of the frames read so far any more: their memory may be reused. Without this call
   * it never is, and the frames stay valid.
   */
  release(): void
  /** No frame will follow. */
  readonly done: boolean
  /** The cursor of the last frame read. */
  readonly cursor: number
  onReadable: (() => void) | null
  /**
   * Ends the reader. Before `done` this counts as a cut connection: see `reattachGraceMs` and `onDisconnect`.
   * Idempotent.
   */
  close(): void
}

export interface CommandStdin {
  /** Bytes accepted so far: the offset of the next byte. */
  readonly acceptedBytes: number
  /**
   * Writes a chunk at an offset; bytes before `acceptedBytes` count as repeated and are not
   * written again. Resolves when the pipe took all of it (back-pressure).
   *
   * @throws GuestdError `stdin_closed`, `offset_out_of_range`
   */
  write(offset: number, chunk: Uint8Array): Promise<void>
  /** Closes the pipe after what was accepted. Idempotent. */
  end(): void
  /**
   * Runs one writer at a time: see writer-queue.ts.
   *
   * @throws GuestdError `stdin_taken`; the reason of an aborted signal
   */
  exclusive<T>(request: TurnRequest, writer: (turn: Turn) => Promise<T>): Promise<T>
}
