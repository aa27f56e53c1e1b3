/** guestctl's own standard input goes to a command, as fast as the command reads it. */

import { GuestdError, type StdinWriter } from '../client/index.ts'
import { messageOf } from '../util/message-of.ts'

/** Our own standard input cannot be read. */
export class UnreadableInput extends Error {
  override readonly name = 'UnreadableInput'
  /** Some of it was read before, so that what the command got is not all. */
  readonly isCut: boolean

  constructor(cause: unknown, isCut: boolean) {
    super(`it cannot be read${isCut ? ' to its end' : ''}: ${messageOf(cause)}`, { cause })
    this.isCut = isCut
  }
}

/**
 * Resolves with null once the command took all of it, EOF included; else with why it does not read.
 *
 * @param open makes the stream, which is closed in the end
 * @throws UnreadableInput; what the writer throws
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
    // What a terminal or a pipe still has would keep this process.
    input?.destroy()
  }
}

const goneCodes: ReadonlySet<string> = new Set(['stdin_closed', 'command_ended'])
