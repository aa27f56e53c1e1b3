/** A stop that was asked for: its steps, and the receipt. */

import type { StopFrame, StopReceipt } from '../protocol/schemas.ts'
import { ConnectError, fromConnection } from './connect-error.ts'
import { withIdleTimeout } from './idle-timeout.ts'
import { linesOf } from './lines.ts'
import type { Transport } from './transport.ts'
import type { SessionStop } from './types.ts'

const STOP = { method: 'POST', path: '/v1/session/stop', fresh: true, slow: true } as const

/** It is read whether anybody iterates or not: a stop has a few dozen lines, by its time limits. */
export function stopSession(transport: Transport, signal: AbortSignal | undefined): SessionStop {
  const frames: StopFrame[] = []
  /** Settles with the next frame, or the end of all. */
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
      // After the receipt there is nothing to lose.
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
  // Who only iterates is told there.
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
