/** The stdout and stderr of guestctl. A write waits for the reader, and a closed pipe is an error. */

export interface Sink {
  /**
   * Resolves once there is room for more.
   *
   * @throws OutputClosed if the reader has closed the pipe
   */
  write(chunk: Uint8Array | string): Promise<void>
  /** Resolves when everything is written. */
  flush(): Promise<void>
  /** Aborts with the error of a failed write, which can come long after the call. */
  readonly failed: AbortSignal
}

/** The reader has closed the pipe, as `head` does. Other programs get SIGPIPE then. */
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
