/** Writers that take turns: one at a time, in the order in which they came, unless one sends nothing for too long. */
import { GuestdError } from '../errors.ts'

export interface TurnRequest {
  /** Position of the writer's first byte in all that is written; `null`: wherever the writer before it ends. */
  readonly offset: number | null
  /** Aborted when the writer gives up: a writer that still waits for its turn never begins. */
  readonly signal: AbortSignal
}

export interface Turn {
  /**
   * Waits for the writer's next bytes. Meanwhile the turn can be lost.
   *
   * @throws GuestdError `stdin_taken`; the error given to `end`; the signal's reason
   */
  next<T>(bytes: Promise<T>): Promise<T>
}

export interface Turns {
  take<T>(request: TurnRequest, writer: (turn: Turn) => Promise<T>): Promise<T>
  /** The pipe is closed: no writer waits any more. @param error what a silent writer's `next` throws */
  end(error: Error): void
}

interface Holder {
  /** Since when it sends nothing, a `performance.now()` time; `null`: its bytes are being written. */
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

  const begin = (waiter: Waiter | undefined) => {
    holder = waiter === undefined ? null : newHolder()
    if (holder !== null) waiter?.begin(holder)
  }

  const replaceSilentHolder = () => {
    clearTimeout(timer)
    if (holder === null || holder.silentSince === null) return
    const at = waiting.findIndex(({ offset }) => offset === nextOffset())
    if (at < 0) return
    const leftMs = holder.silentSince + silenceMs - performance.now()
    if (leftMs > 0) {
      timer = setTimeout(replaceSilentHolder, Math.ceil(leftMs))
      return
    }
    lose(holder, taken(nextOffset()))
    begin(waiting.splice(at, 1)[0])
  }

  /** Resolves once it is this writer's turn. */
  const wait = ({ offset, signal }: TurnRequest): Promise<Holder> | Holder => {
    signal.throwIfAborted()
    if (hasEnded) return newHolder()
    if (holder === null) {
      holder = newHolder()
      return holder
    }
    const turn = waitUnlessAborted(waiting, offset, signal)
    replaceSilentHolder()
    return turn
  }

  return {
    async take({ offset, signal }, writer) {
      const mine = await wait({ offset, signal })
      const next = async <T>(bytes: Promise<T>): Promise<T> => {
        mine.silentSince = performance.now()
        replaceSilentHolder()
        const received = await untilLost(mine, bytes)
        mine.silentSince = null
        // Both may have happened in the same turn of the loop.
        if (mine.lost !== null) throw mine.lost
        signal.throwIfAborted()
        return received
      }
      try {
        return await writer({ next })
      } finally {
        if (holder === mine) begin(waiting.shift())
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

function newHolder(): Holder {
  return { silentSince: null, fail: null, lost: null }
}

function lose(holder: Holder, error: Error): void {
  holder.lost = error
  holder.fail?.(error)
}

/** Joins the waiters, and leaves them when the signal is aborted. */
function waitUnlessAborted(
  waiting: Waiter[],
  offset: number | null,
  signal: AbortSignal,
): Promise<Holder> {
  const { promise, resolve, reject } = Promise.withResolvers<Holder>()
  const giveUp = () => {
    waiting.splice(waiting.indexOf(waiter), 1)
    reject(signal.reason)
  }
  const waiter: Waiter = {
    offset,
    begin(holder) {
      signal.removeEventListener('abort', giveUp)
      resolve(holder)
    },
  }
  signal.addEventListener('abort', giveUp, { once: true })
  waiting.push(waiter)
  return promise
}

/**
 * Not a race with a promise that lives as long as the turn: that promise would keep what each call resolved to, and so
 * all bytes of the writer.
 */
function untilLost<T>(holder: Holder, bytes: Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  holder.fail = reject
  bytes.then(resolve, reject)
  if (holder.lost !== null) reject(holder.lost)
  return promise
}

function taken(offset: number): GuestdError {
  const detail = `another writer took over at byte ${offset}, because this one sent nothing`
  return new GuestdError('stdin_taken', detail)
}
