/** guestctl's own standard input goes to a command, as fast as the command reads it. */

import { GuestdError, type StdinWriter } from '../client/index.ts'

/** Resolves with null once the command took all of it, EOF included; else with why it does not read. */
export async function forwardStdin(
  input: NodeJS.ReadStream,
  stdin: StdinWriter,
): Promise<GuestdError | null> {
  try {
    for await (const chunk of input as AsyncIterable<Buffer>) await stdin.write(chunk)
    await stdin.end()
    return null
  } catch (error) {
    if (error instanceof GuestdError && goneCodes.has(error.code)) return error
    throw error
  } finally {
    // What a terminal or a pipe still has would keep this process.
    input.destroy()
  }
}

const goneCodes: ReadonlySet<string> = new Set(['stdin_closed', 'command_ended'])
