/** The standard input that a run request brings with it. */

import { GuestdError } from '../errors.ts'
import type { Input, StdinWriter } from './types.ts'

/**
 * Writes the input as fast as the command reads it, then EOF. Returns early if the command stops reading.
 *
 * @throws the error of the input; ConnectError if guestd cannot be reached
 */
export async function writeInput(input: Input, stdin: StdinWriter): Promise<void> {
  try {
    for await (const chunk of chunksOf(input)) await stdin.write(chunk)
    await stdin.end()
  } catch (error) {
    if (!(error instanceof GuestdError && goneCodes.has(error.code))) throw error
  }
}

async function* chunksOf(input: Input): AsyncGenerator<string | Uint8Array> {
  if (typeof input === 'string' || input instanceof Uint8Array) yield input
  else yield* input
}

/** The command has ended, or closed its input. */
const goneCodes: ReadonlySet<string> = new Set([
  'stdin_closed',
  'command_ended',
  'command_not_found',
])
