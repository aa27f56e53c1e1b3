/**
 * Reads frames ahead while a write waits and the caller does not read yet. A command whose output is not read
 * stops reading its input, so the write would never finish.
 */

import type { Frame } from '../protocol/frames.ts'

export interface ReadAhead {
  /** All frames in order. To be iterated once. */
  readonly frames: AsyncIterable<Frame>
  /**
   * Waits for a write, and reads ahead while it waits.
   *
   * @throws Error if more output than the limit waits to be read; the error of the write
   */
  during(write: Promise<void>): Promise<void>
}

/** @param limitBytes how much output is held; the last frame may exceed it */
export function createReadAhead(source: AsyncIterable<Frame>, limitBytes: number): ReadAhead {
  const iterator = source[Symbol.asyncIterator]()
  const held: Frame[] = []
  let heldBytes = 0
  let writers = 0
  let isTaken = false
  let isDone = false
  let failure: { readonly error: unknown } | null = null
  let pumping: Promise<void> | null = null
  const overflow = Promise.withResolvers<never>()
  overflow.promise.catch(() => {})

  const pull = async (): Promise<void> => {
    try {
      const { done, value } = await iterator.next()
      if (done === true) isDone = true
      else if (value.type !== 'keepalive') held.push(value)
      if (value?.type === 'output') heldBytes += value.bytes.length
    } catch (error) {
      failure = { error }
    }
  }

  const pump = async (): Promise<void> => {
    while (writers > 0 && !isTaken && !isDone && failure === null) {
      if (heldBytes < limitBytes) await pull()
      else return overflow.reject(unread(limitBytes))
    }
  }

  async function* frames(): AsyncGenerator<Frame, void, void> {
    isTaken = true
    try {
      await pumping
      for (let frame = held.shift(); frame !== undefined; frame = held.shift()) yield frame
      if (failure !== null) throw failure.error
      while (!isDone) {
        const { done, value } = await iterator.next()
        if (done === true) isDone = true
        else yield value
      }
    } finally {
      await iterator.return?.()
    }
  }

  return {
    frames: { [Symbol.asyncIterator]: frames },
    during: async write => {
      if (isTaken) return await write
      writers += 1
      pumping ??= pump().finally(() => {
        pumping = null
      })
      try {
        await Promise.race([write, overflow.promise])
      } finally {
        writers -= 1
      }
    },
  }
}

function unread(limitBytes: number): Error {
  return new Error(
    `more than ${limitBytes} bytes of output wait to be read, so the command does not read its input: read the frames while writing`,
  )
}
