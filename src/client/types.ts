/** The types of the client's requests and results. They are published. */

import type { EndFacts, ExitFacts, Frame } from '../protocol/frames.ts'
import type {
  KillReply,
  SignalTarget,
  StopFrame,
  StopReceipt,
  RunRequest as WireRunRequest,
} from '../protocol/schemas.ts'

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
