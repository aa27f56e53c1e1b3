/** The standard input of a command: a pipe that is written at offsets, one writer at a time. */
import type { Socket } from 'node:net'
import { GuestdError } from '../errors.ts'
import type { CommandStdin } from './types.ts'
import { createTurns, type Turns } from './writer-queue.ts'

/**
 * @param pipe `null` when the command reads /dev/null
 * @param silenceMs how long a writer may send nothing before a writer that names the next offset takes its turn
 */
export function createStdin(
  pipe: Socket | null,
  silenceMs = 0,
): CommandStdin & { destroy(): void } {
  let acceptedBytes = 0
  let open = pipe !== null
  /** Closed by the writer: a repeat of the last request is no error then. */
  let ended = false
  let isDestroyed = false
  /** Made for the first writer: most commands have none. */
  let turns: Turns | null = null

  pipe?.on('error', () => {
    open = false
  })

  const closed = () =>
    new GuestdError(
      'stdin_closed',
      pipe === null
        ? 'the command was started without "stdin": "open"'
        : `standard input has no reader any more; ${acceptedBytes} bytes were accepted`,
    )

  const send = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      if (!open || pipe === null) return reject(closed())
      pipe.write(bytes, error => (error ? reject(closed()) : resolve()))
    })

  return {
    get acceptedBytes() {
      return acceptedBytes
    },
    async write(offset, chunk) {
      if (offset > acceptedBytes) {
        const detail = `the offset ${offset} is past the ${acceptedBytes} bytes accepted so far`
        throw new GuestdError('offset_out_of_range', detail, { field: 'offset' })
      }
      const rest = chunk.subarray(acceptedBytes - offset)
      if (rest.length === 0 && (open || ended)) return
      await send(rest)
      acceptedBytes += rest.length
    },
    end() {
      ended = open || ended
      open = false
      pipe?.end()
    },
    exclusive(request, writer) {
      if (turns === null) {
        turns = createTurns(silenceMs, () => acceptedBytes)
        if (isDestroyed) turns.end(closed())
      }
      return turns.take(request, writer)
    },
    destroy() {
      isDestroyed = true
      open = false
      pipe?.destroy()
      turns?.end(closed())
    },
  }
}
