/** A stop of the session: its steps and its receipt. */

import type { StopFrame, StopReceipt } from '../protocol/schemas.ts'
import { ConnectError, fromConnection } from './connect-error.ts'
import { withIdleTimeout } from './idle-timeout.ts'
import { linesOf } from './lines.ts'
import type { Transport } from './transport.ts'
import type { SessionStop } from './types.ts'

const STOP = { method: 'POST', path: '/v1/session/stop', ownConnection: true, slow: true } as const

/** Sends the request at once and reads the whole reply, iterated or not. A stop has a few dozen lines. */
export function stopSession(transport: Transport, signal: AbortSignal | undefined): SessionStop {
  const frames: StopFrame[] = []
  /** Resolves with the next frame, or at the end. */
  let next = Promise.withResolvers<void>()
  let isOver = false

  const read = async (): Promise<StopReceipt> => {
    const reply = await transport.send({ ...STOP, signal })
    const { at, isAlive, requestTimeoutMs: limitMs } = transport
    const timeout = { at, signal, limitMs, isAlive }
    let receipt: StopReceipt | null = null
    try {
      for await (const line of linesOf(withIdleTimeout(reply, timeout))) {
        const frame: StopFrame = JSON.parse(line)
        if (frame.type === 'receipt') receipt = frame
        frames.push(frame)
        next.resolve()
        next = Promise.withResolvers()
      }
    } catch (error) {
      // The receipt is the last line, so nothing is lost after it.
      if (receipt !== null) return receipt
      throw signal?.aborted ? signal.reason : fromConnection(error, transport.at)
    }
    if (receipt === null) throw new ConnectError('lost', transport.at)
    return receipt
  }

  const result = read().finally(() => {
    isOver = true
    next.resolve()
  })
  // A caller that only iterates gets the error there.
  result.catch(() => {})

  async function* steps(): AsyncGenerator<StopFrame, void, void> {
    for (let index = 0; ; ) {
      const frame = frames[index]
      if (frame !== undefined) {
        index += 1
        yield frame
      } else if (isOver) break
      else await next.promise
    }
    await result
  }

  return Object.assign(result, { [Symbol.asyncIterator]: steps })
}
