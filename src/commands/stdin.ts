/** The standard input of a command: a pipe that is written at offsets, one writer at a time. */
import type { Socket } from 'node:net'
import { GuestdError } from '../errors.ts'
import type { CommandStdin } from './types.ts'

/** @param pipe `null` when the command reads /dev/null */
export function createStdin(pipe: Socket | null): CommandStdin & { destroy(): void } {
  let acceptedBytes = 0
  let open = pipe !== null
  /** Closed by the writer: to repeat the last request is no error. */
  let ended = false
  let turn: Promise<unknown> = Promise.resolve()

  pipe?.on('error', () => {
    open = false
  })

  const closed = () =>
    new GuestdError(
      'stdin_closed',
      pipe === null
        ? 'the command was started without "stdin": "open"'
        : `nobody reads the standard input any more; ${acceptedBytes} bytes were accepted`,
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
    exclusive(writer) {
      const mine = turn.then(writer)
      turn = mine.catch(() => undefined)
      return mine
    },
    destroy() {
      open = false
      pipe?.destroy()
    },
  }
}
