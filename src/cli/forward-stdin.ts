/** Forwards the standard input of guestctl to a command, as fast as the command reads it. */

import { GuestdError, type StdinWriter } from '../client/index.ts'
import { messageOf } from '../util/message-of.ts'

/** The standard input of guestctl cannot be read. */
export class UnreadableInput extends Error {
  override readonly name = 'UnreadableInput'
  /** Part of it was read before the error, so the command got an incomplete input. */
  readonly isCut: boolean

  constructor(cause: unknown, isCut: boolean) {
    super(`it cannot be read${isCut ? ' to its end' : ''}: ${messageOf(cause)}`, { cause })
    this.isCut = isCut
  }
}

/**
 * Resolves with null when the command has got all of it and EOF, or with the error if the command stopped reading.
 *
 * @param open opens the stream, which is closed at the end
 * @throws UnreadableInput; the error of the writer
 */
export async function forwardStdin(
  open: () => NodeJS.ReadStream,
  stdin: StdinWriter,
): Promise<GuestdError | null> {
  try {
    for await (const chunk of readChunks(open)) await stdin.write(chunk)
    await stdin.end()
    return null
  } catch (error) {
    if (error instanceof GuestdError && goneCodes.has(error.code)) return error
    throw error
  }
}

async function* readChunks(open: () => NodeJS.ReadStream): AsyncGenerator<Buffer> {
  let input: NodeJS.ReadStream | null = null
  let isCut = false
  try {
    input = open()
    const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      isCut = true
      yield next.value
    }
  } catch (error) {
    throw new UnreadableInput(error, isCut)
  } finally {
    // An open terminal or pipe would keep this process alive.
    input?.destroy()
  }
}

const goneCodes: ReadonlySet<string> = new Set(['stdin_closed', 'command_ended'])
