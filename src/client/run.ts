/** The object of a running command: its frames, its input and its result. */

import type { EndFrame, ExitFrame, Frame } from '../protocol/frames.ts'
import type { KillReply, SignalTarget } from '../protocol/schemas.ts'
import { collectFrames } from './collect.ts'
import { createReadAhead } from './read-ahead.ts'
import type { CommandResult, RunningCommand, StdinWriter } from './types.ts'

/** How much output is read ahead while a write waits, in bytes. */
const READ_AHEAD_BYTES = 64 * 1024 * 1024

export interface RunningCommandParts {
  readonly id: string
  /** Resolves when guestd has accepted the command, rejects when it has refused it. */
  readonly accepted: PromiseWithResolvers<void>
  readonly frames: AsyncIterable<Frame>
  readonly stdin: StdinWriter
  kill(): Promise<KillReply>
  signal(signal: string, target?: SignalTarget): Promise<void>
}

export function createRunningCommand(parts: RunningCommandParts): RunningCommand {
  const { id, accepted, stdin } = parts
  const ahead = createReadAhead(parts.frames, READ_AHEAD_BYTES)
  const result = Promise.withResolvers<CommandResult>()
  // A caller that ignores the result must not get an unhandled rejection. The iteration throws the same error.
  result.promise.catch(() => {})
  // A refused command has no result, whether its frames are read or not.
  accepted.promise.catch(error => result.reject(error))
  let isRead = false

  const fail = (error: unknown) => {
    accepted.reject(error)
    result.reject(error)
  }

  async function* observe(): AsyncGenerator<Frame, void, void> {
    let exit: ExitFrame | null = null
    try {
      for await (const frame of ahead.frames) {
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

  /** Reads the frames, unless the caller starts to iterate as soon as guestd has accepted the command. */
  const drain = async (): Promise<void> => {
    await accepted.promise
    await new Promise(resolve => setImmediate(resolve))
    if (isRead) return
    for await (const _ of command);
  }

  let isAsked = false
  const command: RunningCommand = {
    id,
    accepted: accepted.promise,
    stdin: {
      write: async chunk => await ahead.during(stdin.write(chunk)),
      end: async () => await ahead.during(stdin.end()),
      get acceptedBytes() {
        return stdin.acceptedBytes
      },
    },
    get result() {
      // The result rejects with the same error.
      if (!isAsked && !isRead) drain().catch(() => {})
      isAsked = true
      return result.promise
    },
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
