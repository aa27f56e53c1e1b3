/** HTTP/1.1 to one guestd: requests over a pool of connections, with retries. */

import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Address, formatAddress } from './address.ts'
import { ConnectError, isLoss } from './connect-error.ts'
import { checkIsGuestd, closedUnanswered, readWhole, toError } from './http-reply.ts'
import { DialingAgent, sendRequest } from './http-request.ts'

/** Waits between attempts to reach a guestd that has never answered, in milliseconds: doubling from FIRST to LONGEST. */
const FIRST_RETRY_MS = 25
const LONGEST_RETRY_MS = 1_000

export interface RequestBody {
  /** Media type. */
  readonly type: string
  readonly bytes: string | Uint8Array
}

export interface Exchange {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly accept?: string
  readonly body?: RequestBody
  readonly signal?: AbortSignal | undefined
  /** Statuses of 400 and more that are an answer, not an error. */
  readonly acceptedStatuses?: readonly number[]
  /** Uses a new connection, so that a stale one from the pool cannot lose a request that must not be repeated. */
  readonly ownConnection?: boolean
  /** A POST that has an id or an offset, so that a repetition has no further effect. */
  readonly repeatable?: boolean
  /**
   * The reply waits for a command or a disk. When the time limit has passed, the client asks guestd whether it
   * is alive. If guestd answers, the limit starts again.
   */
  readonly slow?: boolean
  /** A shorter limit than that of the transport, in milliseconds. */
  readonly timeoutMs?: number | undefined
}

export interface Transport {
  /** The address as text. */
  readonly at: string
  readonly requestTimeoutMs: number
  /** Whether guestd has ever answered at this address. */
  readonly proven: boolean
  /**
   * Resolves with the head of the reply. The body is read only as the caller pulls.
   *
   * @throws ConnectError, GuestdError, or the reason of the signal
   */
  send(exchange: Exchange): Promise<IncomingMessage>
  /** Sends and reads the whole reply. A GET, PUT or DELETE whose connection is lost is sent once more. */
  json<T>(exchange: Exchange): Promise<T>
  /** Whether guestd answers a request on a new connection within the time limit. */
  isAlive(): Promise<boolean>
  /** Closes idle connections. */
  close(): void
}

export interface TransportOptions {
  /** Limit for opening a connection, in milliseconds. */
  readonly connectTimeoutMs: number
  /** Limit for the head of a reply, and between the bytes of a reply that is read whole, in milliseconds; 0: none. */
  readonly requestTimeoutMs: number
  /** How long to retry a guestd that has never answered, in milliseconds; 0: no retry. */
  readonly connectRetryMs: number
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>
}

export function createTransport(address: Address, options: TransportOptions): Transport {
  const at = formatAddress(address)
  const { requestTimeoutMs, connectTimeoutMs, connectRetryMs } = options
  const pool = new DialingAgent(address, connectTimeoutMs, true)
  const single = new DialingAgent(address, connectTimeoutMs, false)
  let proven = false

  const sendOnce = async (exchange: Exchange): Promise<IncomingMessage> => {
    const { method, path, body, signal, acceptedStatuses, ownConnection, slow } = exchange
    const reply = await sendRequest({
      ...{ method, path, body: body?.bytes, signal, at },
      agent: ownConnection === true ? single : pool,
      headers: headersOf(exchange, address, options),
      limitMs: shorterLimit(requestTimeoutMs, exchange.timeoutMs),
      isAlive: slow === true ? isAlive : null,
    }).catch((error: unknown) => {
      throw isLoss(error) && !proven ? closedUnanswered(error, address) : error
    })
    checkIsGuestd(reply, at)
    proven = true
    const status = reply.statusCode ?? 0
    if (status < 400 || acceptedStatuses?.includes(status)) return reply
    throw await toError(reply, at, requestTimeoutMs)
  }

  const send = async (exchange: Exchange): Promise<IncomingMessage> => {
    const deadline = performance.now() + connectRetryMs
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      try {
        return await sendOnce(exchange)
      } catch (error) {
        const isLate = performance.now() + waitMs > deadline
        if (proven || isLate || !mayRepeat(error, exchange)) throw error
        await sleep(waitMs, undefined, { signal: exchange.signal }).catch(() => {})
        exchange.signal?.throwIfAborted()
      }
    }
  }

  const readJson = async <T>(exchange: Exchange): Promise<T> => {
    const reply = await send({ ...exchange, accept: 'application/json' })
    const body = await readWhole(reply, at, requestTimeoutMs)
    return (body.length === 0 ? undefined : JSON.parse(body.toString())) as T
  }

  const isAlive = (): Promise<boolean> =>
    readJson({ method: 'GET', path: '/healthz', ownConnection: true }).then(
      () => true,
      () => false,
    )

  return {
    at,
    requestTimeoutMs,
    isAlive,
    get proven() {
      return proven
    },
    send,
    json: async exchange => {
      try {
        return await readJson(exchange)
      } catch (error) {
        const isRepeated = exchange.method !== 'POST' && isLoss(error)
        if (!isRepeated || exchange.signal?.aborted) throw error
        return await readJson(exchange)
      }
    },
    close: () => pool.destroy(),
  }
}

/** Whether the error allows to send the same request again. */
function mayRepeat(error: unknown, { method, repeatable }: Exchange): boolean {
  if (!(error instanceof ConnectError && error.retryable)) return false
  const wasSent = error.code === 'lost' || error.code === 'timeout'
  return !wasSent || method !== 'POST' || repeatable === true
}

function headersOf(
  { accept, body }: Exchange,
  address: Address,
  { headers }: TransportOptions,
): Record<string, string> {
  return {
    host: address.kind === 'tcp' ? `${address.host}:${address.port}` : 'localhost',
    ...headers,
    ...(accept === undefined ? {} : { accept }),
    ...(body === undefined
      ? {}
      : { 'content-type': body.type, 'content-length': String(Buffer.byteLength(body.bytes)) }),
  }
}

/** The shorter of two limits in milliseconds; 0 and `undefined` mean no limit. */
function shorterLimit(limitMs: number, otherMs: number | undefined): number {
  const limits = [limitMs, otherMs ?? 0].filter(ms => ms > 0)
  return limits.length === 0 ? 0 : Math.min(...limits)
}
