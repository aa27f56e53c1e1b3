/** Writers that take turns: one at a time, in the order in which they came, unless one sends nothing for too long. */
import { GuestdError } from '../errors.ts'

export interface TurnRequest {
  /** Position of the writer's first byte in all that is written; `null`: wherever the writer before it ends. */
  readonly offset: number | null
  /** The writer gave up: what still waits for its turn is never begun. */
  readonly signal: AbortSignal
}

export interface Turn {
  /**
   * Waits for the writer's next bytes. Meanwhile the turn can be lost.
   *
   * @throws GuestdError `stdin_taken`; what ended the turns; the signal's reason
   */
  next<T>(bytes: Promise<T>): Promise<T>
}

export interface Turns {
  take<T>(request: TurnRequest, writer: (turn: Turn) => Promise<T>): Promise<T>
  /** There is nothing left to write to: no writer waits any more. @param error of the writer that sends nothing now */
  end(error: Error): void
}

interface Holder {
  /** Since when its next bytes are waited for, of `performance.now()`; `null`: it writes. */
  silentSince: number | null
  /** Ends the wait for its next bytes. */
  fail: ((error: Error) => void) | null
  /** Why it has lost its turn. */
  lost: Error | null
}

interface Waiter {
  readonly offset: number | null
  readonly begin: (holder: Holder) => void
}

/**
 * @param silenceMs how long a writer may send nothing before a writer that names the next offset takes its turn
 * @param nextOffset position of the next byte
 */
export function createTurns(silenceMs: number, nextOffset: () => number): Turns {
  const waiting: Waiter[] = []
  let holder: Holder | null = null
  let hasEnded = false
  let timer: NodeJS.Timeout | undefined

  const newHolder = (): Holder => ({ silentSince: null, fail: null, lost: null })

  const begin = (waiter: Waiter) => {
    const next = newHolder()
    holder = next
    waiter.begin(next)
  }

  const passOn = () => {
    holder = null
    const next = waiting.shift()
    if (next !== undefined) begin(next)
  }

  const lose = (loser: Holder, error: Error) => {
    loser.lost = error
    loser.fail?.(error)
  }

  const takeOver = () => {
    clearTimeout(timer)
    if (holder === null || holder.silentSince === null) return
    const at = waiting.findIndex(({ offset }) => offset === nextOffset())
    if (at < 0) return
    const leftMs = holder.silentSince + silenceMs - performance.now()
    if (leftMs > 0) {
      timer = setTimeout(takeOver, Math.ceil(leftMs))
      return
    }
    lose(holder, taken(nextOffset()))
    for (const next of waiting.splice(at, 1)) begin(next)
  }

  /** Resolves once it is this writer's turn. */
  const wait = ({ offset, signal }: TurnRequest): Promise<Holder> | Holder => {
    signal.throwIfAborted()
    if (hasEnded) return newHolder()
    if (holder === null) {
      holder = newHolder()
      return holder
    }
    const { promise, resolve, reject } = Promise.withResolvers<Holder>()
    const giveUp = () => {
      waiting.splice(waiting.indexOf(waiter), 1)
      reject(signal.reason)
    }
    const waiter: Waiter = {
      offset,
      begin(mine) {
        signal.removeEventListener('abort', giveUp)
        resolve(mine)
      },
    }
    signal.addEventListener('abort', giveUp, { once: true })
    waiting.push(waiter)
    takeOver()
    return promise
  }

  return {
    async take(request, writer) {
      const mine = await wait(request)
      const next = async <T>(bytes: Promise<T>): Promise<T> => {
        mine.silentSince = performance.now()
        takeOver()
        const got = await untilLost(mine, bytes)
        mine.silentSince = null
        // Both may have happened in the same turn of the loop.
        if (mine.lost !== null) throw mine.lost
        request.signal.throwIfAborted()
        return got
      }
      try {
        return await writer({ next })
      } finally {
        if (holder === mine) passOn()
      }
    },
    end(error) {
      hasEnded = true
      clearTimeout(timer)
      if (holder !== null && holder.silentSince !== null) lose(holder, error)
      for (const waiter of waiting.splice(0)) waiter.begin(newHolder())
    },
  }
}

/**
 * Not a race with a promise that lives as long as the turn: that would keep what each call resolved to, so all
 * bytes of the writer.
 */
function untilLost<T>(holder: Holder, bytes: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  holder.fail = reject
  bytes.then(resolve, reject)
  if (holder.lost !== null) reject(holder.lost)
  return promise
}

function taken(offset: number): GuestdError {
  const detail = `another writer took over at byte ${offset}, as nothing came from this one`
  return new GuestdError('stdin_taken', detail)
}
