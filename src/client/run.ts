/** A command that this client runs, or took over: its frames, its input, its end. */

import type { EndFrame, ExitFrame, Frame } from '../protocol/frames.ts'
import type { KillReply, SignalTarget } from '../protocol/schemas.ts'
import { type CollectedResult, type CommandResult, collectFrames } from './collect.ts'
import type { StdinWriter } from './stdin.ts'

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
  /** Needs `stdin: 'open'` in the request: without it, writing rejects with `stdin_closed`. */
  readonly stdin: StdinWriter
  /**
   * Settles when the iteration comes to the end of the frames, fails or is stopped; and rejects at
   * once where guestd refused the request.
   */
  readonly result: Promise<CommandResult>
  /** Iterates to the end, in place of the caller. @param options.maxBytes see {@link collectFrames} */
  collect(options?: { readonly maxBytes?: number }): Promise<CollectedResult>
  /** Kills all of the command's processes; resolves once none is left. */
  kill(): Promise<KillReply>
  /** @param target default `group` */
  signal(signal: string, target?: SignalTarget): Promise<void>
}

export interface RunningCommandParts {
  readonly id: string
  /** Settles once guestd has answered, or refused for good. */
  readonly accepted: PromiseWithResolvers<void>
  readonly frames: AsyncIterable<Frame>
  readonly stdin: StdinWriter
  kill(): Promise<KillReply>
  signal(signal: string, target?: SignalTarget): Promise<void>
}

export function createRunningCommand(parts: RunningCommandParts): RunningCommand {
  const { id, accepted, stdin } = parts
  const result = Promise.withResolvers<CommandResult>()
  // Who does not look at these shall not be ended by them: the iteration throws the same error.
  result.promise.catch(() => {})
  // What was refused has no result, read or not.
  accepted.promise.catch(error => result.reject(error))
  let isRead = false

  const fail = (error: unknown) => {
    accepted.reject(error)
    result.reject(error)
  }

  async function* observe(): AsyncGenerator<Frame, void, void> {
    let exit: ExitFrame | null = null
    try {
      for await (const frame of parts.frames) {
        if (frame.type === 'exit') exit = frame
        if (frame.type === 'end' && exit !== null) result.resolve(toResult(id, exit, frame))
        yield frame
      }
    } catch (error) {
      fail(error)
      throw error
    } finally {
      fail(new Error(`the frames of command ${id} were not read to their end`))
    }
  }

  const command: RunningCommand = {
    id,
    accepted: accepted.promise,
    stdin,
    result: result.promise,
    collect: options => collectFrames(command, result.promise, options?.maxBytes),
    kill: async () => {
      await accepted.promise
      return await parts.kill()
    },
    signal: async (signal, target) => {
      await accepted.promise
      await parts.signal(signal, target)
    },
    [Symbol.asyncIterator]: () => {
      if (isRead) throw new Error(`the frames of command ${id} can be read only once`)
      isRead = true
      return observe()
    },
  }
  return command
}

function toResult(id: string, exit: ExitFrame, end: EndFrame): CommandResult {
  const { type: _exit, cursor: _at, ...exitFacts } = exit
  const { type: _end, cursor: _last, ...endFacts } = end
  return { id, ...exitFacts, ...endFacts }
}
