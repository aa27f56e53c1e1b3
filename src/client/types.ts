/** What the client takes and gives. Declarations alone: these are published, with no type of the inside. */

import type { EndFacts, ExitFacts, Frame } from '../protocol/frames.ts'
import type {
  KillReply,
  SignalTarget,
  StopFrame,
  StopReceipt,
  RunRequest as WireRunRequest,
} from '../protocol/schemas.ts'

/** A script, or a program and its arguments: one of the two. */
export type Program =
  | {
      /** A script, run as `bash -c`; at most 1 MiB of UTF-8, without NUL. */
      command: string
      argv?: undefined
    }
  | {
      /** A program and its arguments, run with no shell. */
      argv: string[]
      command?: undefined
    }

/** A command to be started; `detach` is the difference between `start` and `run`. */
export type StartRequest = Omit<WireRunRequest, 'detach' | 'command' | 'argv'> & Program

/** Bytes, or text as UTF-8; also in pieces, as a stream gives them. */
export type Input = string | Uint8Array | AsyncIterable<string | Uint8Array>

/** A command to be run. */
export type RunRequest = StartRequest & {
  /**
   * All of the standard input, in place of `stdin`: it is written as fast as the command reads, and ended. Where
   * it fails, the command is killed, and the call rejects with its error.
   */
  readonly input?: Input | undefined
}

/** All that is known of a command that is over. */
export interface CommandResult extends ExitFacts, EndFacts {
  readonly id: string
}

export interface CollectedResult extends CommandResult {
  /** The last bytes, at most `maxBytes`. */
  readonly stdout: Buffer
  readonly stderr: Buffer
  /** Bytes of standard output that came before those in `stdout` and are not kept. */
  readonly stdoutCut: number
  /** The same of standard error. */
  readonly stderrCut: number
}

export interface StdinWriter {
  /**
   * Queues bytes, in the order of the calls, and resolves once all of them have a place, so that a
   * command that reads slowly makes its writer wait. The chunk must not be changed afterwards.
   *
   * @throws GuestdError `stdin_closed` once the command no longer reads, `command_not_found`;
   * ConnectError where guestd stays away; Error after `end`
   */
  write(chunk: Uint8Array | string): Promise<void>
  /** Sends what is queued, then EOF; resolves when guestd has taken both. Idempotent. */
  end(): Promise<void>
  /** Offset after the last byte that guestd acknowledged to this writer. */
  readonly acceptedBytes: number
}

/**
 * A running command. Iterating it (once) is what reads: the connection is read only as fast as
 * frames are asked for, so a consumer that waits makes the command wait.
 *
 * Breaking out of the iteration, or aborting the signal, closes the connection. What that means
 * for the command is the request's `onDisconnect`: with `kill` it ends with cause `disconnected`;
 * with `keep` (the default) it is held at full buffers for guestd's `reattachGraceMs` and then
 * goes on without a reader; `attach` takes it over again, by its id. `kill()` ends it.
 */
export interface RunningCommand extends AsyncIterable<Frame> {
  /** Chosen by the client, so that a request cut before its reply is repeated safely. */
  readonly id: string
  /** Resolves once guestd has answered: the command exists. */
  readonly accepted: Promise<void>
  /**
   * Needs `stdin: 'open'` in the request: without it, writing rejects with `stdin_closed`. While a write
   * waits before the frames are read, up to 64 MiB of them are read ahead; with more, it rejects.
   */
  readonly stdin: StdinWriter
  /**
   * Settles when the iteration comes to the end of the frames, fails or is stopped; and rejects at
   * once where guestd refused the request. Where no iteration has begun by the time that guestd has accepted
   * the command, asking for the result reads the frames to their end and drops the output.
   */
  readonly result: Promise<CommandResult>
  /** Iterates to the end, in place of the caller. @param options.maxBytes see {@link collectFrames} */
  collect(options?: { readonly maxBytes?: number }): Promise<CollectedResult>
  /** Kills all of the command's processes; resolves once none is left. */
  kill(): Promise<KillReply>
  /** @param target default `group` */
  signal(signal: string, target?: SignalTarget): Promise<void>
}

/**
 * The request goes out at the call. Awaited it is the receipt; iterated it is each step as it goes,
 * from the first one, and last the receipt. Leaving the iteration leaves the stop alone.
 */
export interface SessionStop extends Promise<StopReceipt>, AsyncIterable<StopFrame> {}
