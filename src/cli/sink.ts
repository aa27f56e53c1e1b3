/** guestctl's own stdout and stderr: writes wait while nobody reads, and a closed pipe is an error. */

export interface Sink {
  /**
   * Resolves once there is room for more.
   *
   * @throws OutputClosed where the reader is gone
   */
  write(chunk: Uint8Array | string): Promise<void>
  /** Resolves when all that was written has left. */
  flush(): Promise<void>
  /** Fires with the error once writing has failed, which may be long after the write. */
  readonly failed: AbortSignal
}

/** Whoever read this output has gone, as `head` does: other tools die of SIGPIPE then. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed'
}

export function createSink(stream: NodeJS.WriteStream): Sink {
  const failed = new AbortController()
  let room = Promise.withResolvers<void>()
  const wake = () => {
    room.resolve()
    room = Promise.withResolvers()
  }
  stream.on('error', (error: NodeJS.ErrnoException) => {
    failed.abort(error.code === 'EPIPE' ? new OutputClosed(error.message, { cause: error }) : error)
    wake()
  })
  stream.on('drain', wake)

  const check = () => failed.signal.throwIfAborted()

  return {
    write: async chunk => {
      check()
      if (chunk.length === 0 || stream.write(chunk)) return
      await room.promise
      check()
    },
    flush: async () => {
      check()
      await new Promise<void>(resolve => stream.write('', () => resolve()))
      check()
    },
    failed: failed.signal,
  }
}
