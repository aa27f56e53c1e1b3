/** HTTP/1.1 to one guestd: a pool of connections, one request, and what can go wrong with it. */

import http from 'node:http'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GuestdError } from '../errors.ts'
import { type Address, formatAddress } from './address.ts'
import { ConnectError, fromConnect, fromConnection, IMAGE_PORT } from './connect-error.ts'
import { dial } from './dial.ts'
import { createIdleTimer, withIdleTimeout } from './idle-timeout.ts'
import { toGuestdError } from './problem.ts'

/** Connections kept open between requests. */
const MAX_IDLE_SOCKETS = 16

/** Largest reply read whole: a list of 1,000 commands, each with 1,024 characters of its text. */
const MAX_REPLY_BYTES = 16 * 1024 * 1024

/** Waits between attempts to reach a guestd that has never answered. */
const FIRST_RETRY_MS = 25
const LONGEST_RETRY_MS = 1_000

/** The version of the API that the paths of this client name; the protocol's `API_VERSION`. */
export const CLIENT_API_VERSION = '1'

export interface Exchange {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly accept?: string
  readonly body?: { readonly type: string; readonly bytes: string | Uint8Array }
  readonly signal?: AbortSignal | undefined
  /** Statuses of 400 and more that are an answer, not a refusal. */
  readonly alsoFine?: readonly number[]
  /** On a connection of its own: for what must not be sent twice. */
  readonly fresh?: boolean
  /** A POST that carries an id or an offset, so that sent twice it happens once. */
  readonly repeatable?: boolean
  /**
   * The reply waits for a command or a disk. After the time limit guestd is asked whether it is alive,
   * and an answer gives the request as much time again.
   */
  readonly slow?: boolean
  /** A limit below that of the transport, in milliseconds. */
  readonly timeoutMs?: number | undefined
}

export interface Transport {
  readonly at: string
  readonly requestTimeoutMs: number
  /** Whether guestd has ever answered here. */
  readonly proven: boolean
  /**
   * Resolves with the head of the reply; its body is read only as the caller pulls.
   *
   * @throws ConnectError, GuestdError, or the reason of the signal
   */
  send(exchange: Exchange): Promise<http.IncomingMessage>
  /** Sends, and reads the reply whole. A GET or DELETE cut before its reply is sent once more. */
  json<T>(exchange: Exchange): Promise<T>
  /** Asks guestd, over a connection of its own, whether it answers within the time limit of a request. */
  isAlive(): Promise<boolean>
  /** Closes idle connections. */
  close(): void
}

export interface TransportOptions {
  /** Limit for opening a connection, in milliseconds. */
  readonly connectTimeoutMs: number
  /** Limit for the head of a reply, and for silence in a reply that is read whole, in milliseconds; 0: none. */
  readonly requestTimeoutMs: number
  /** How long a guestd that has never answered is tried again, in milliseconds; 0: not at all. */
  readonly connectRetryMs: number
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>
}

export function createTransport(address: Address, options: TransportOptions): Transport {
  const at = formatAddress(address)
  const pool = new DialingAgent(address, options.connectTimeoutMs, true)
  const single = new DialingAgent(address, options.connectTimeoutMs, false)
  let proven = false

  const send = async (exchange: Exchange): Promise<http.IncomingMessage> => {
    const deadline = performance.now() + options.connectRetryMs
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

  const sendOnce = async (exchange: Exchange): Promise<http.IncomingMessage> => {
    const agent = exchange.fresh === true ? single : pool
    const headers = headersOf(exchange, address, options)
    const limitMs = shorterLimit(options.requestTimeoutMs, exchange.timeoutMs)
    const deadline = { limitMs, isAlive: exchange.slow === true ? isAlive : null }
    const reply = await exchangeHeads(agent, exchange, headers, at, deadline).catch(
      (error: unknown) => {
        throw isLoss(error) && !proven ? closedUnanswered(error, address) : error
      },
    )
    checkSpeaker(reply, at)
    proven = true
    const status = reply.statusCode ?? 0
    if (status < 400 || exchange.alsoFine?.includes(status)) return reply
    throw await refusal(reply, at, options.requestTimeoutMs)
  }

  const readJson = async <T>(exchange: Exchange): Promise<T> => {
    const reply = await send({ ...exchange, accept: 'application/json' })
    const body = await readWhole(reply, at, options.requestTimeoutMs)
    return (body.length === 0 ? undefined : JSON.parse(body.toString())) as T
  }

  const isAlive = async (): Promise<boolean> => {
    const exchange = { method: 'GET', path: '/healthz', fresh: true } as const
    return await readJson(exchange).then(
      () => true,
      () => false,
    )
  }

  return {
    at,
    requestTimeoutMs: options.requestTimeoutMs,
    isAlive,
    get proven() {
      return proven
    },
    send,
    json: async exchange => {
      try {
        return await readJson(exchange)
      } catch (error) {
        const again = exchange.method !== 'POST' && isLoss(error)
        if (!again || exchange.signal?.aborted) throw error
        return await readJson(exchange)
      }
    },
    close: () => pool.destroy(),
  }
}

/** Whether the same request may be sent again, by what became of it. */
function mayRepeat(error: unknown, { method, repeatable }: Exchange): boolean {
  if (!(error instanceof ConnectError && error.retryable)) return false
  const wasSent = error.code === 'lost' || error.code === 'timeout'
  return !wasSent || method !== 'POST' || repeatable === true
}

/** Whether the connection ended under a request, so that the outcome is not known. */
export function isLoss(error: unknown): error is ConnectError {
  return error instanceof ConnectError && error.code === 'lost'
}

class DialingAgent extends http.Agent {
  readonly #address: Address
  readonly #timeoutMs: number

  constructor(address: Address, timeoutMs: number, keepAlive: boolean) {
    super({ keepAlive, maxFreeSockets: MAX_IDLE_SOCKETS, scheduling: 'lifo' })
    this.#address = address
    this.#timeoutMs = timeoutMs
  }

  override createConnection(
    _options: http.ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    dial(this.#address, this.#timeoutMs).then(
      socket => callback?.(null, socket),
      // Node's type asks for a stream beside the error too.
      error => callback?.(fromConnect(error, formatAddress(this.#address)), new Duplex().destroy()),
    )
  }
}

function headersOf(
  { accept, body }: Exchange,
  address: Address,
  options: TransportOptions,
): Record<string, string> {
  return {
    host: address.kind === 'tcp' ? `${address.host}:${address.port}` : 'localhost',
    ...options.headers,
    ...(accept === undefined ? {} : { accept }),
    ...(body === undefined
      ? {}
      : { 'content-type': body.type, 'content-length': String(Buffer.byteLength(body.bytes)) }),
  }
}

/** The shorter of two limits; 0 and `undefined` are none. */
function shorterLimit(limitMs: number, otherMs: number | undefined): number {
  const limits = [limitMs, otherMs ?? 0].filter(ms => ms > 0)
  return limits.length === 0 ? 0 : Math.min(...limits)
}

interface Deadline {
  /** For the connection and the head of the reply together, in milliseconds; 0: none. */
  readonly limitMs: number
  /** Where it resolves with true after that time, the reply has as much time again. */
  readonly isAlive: (() => Promise<boolean>) | null
}

function exchangeHeads(
  agent: http.Agent,
  { method, path, body, signal }: Exchange,
  headers: Record<string, string>,
  at: string,
  { limitMs, isAlive }: Deadline,
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const request = http.request({ agent, method, path, headers })
    const giveUp = (reason: unknown) => {
      request.destroy()
      reject(reason)
    }
    const onAbort = () => giveUp(signal?.reason)
    const onIdle = async (): Promise<void> => {
      if ((await isAlive?.()) === true) return timer.refresh()
      if (isAnswered) return
      const detail = `no reply to ${method} ${path.split('?')[0]} within ${limitMs} ms`
      giveUp(new ConnectError('timeout', at, { detail }))
    }
    const timer = createIdleTimer(limitMs, () => void onIdle())
    let isAnswered = false
    signal?.addEventListener('abort', onAbort)
    request.on('close', () => {
      timer.stop()
      signal?.removeEventListener('abort', onAbort)
    })
    request.on('error', error => reject(fromConnection(error, at)))
    request.on('response', reply => {
      isAnswered = true
      timer.stop()
      // A reader that has let go is told nothing; one that reads sees the error from its iterator.
      reply.on('error', () => {})
      resolve(reply)
    })
    request.end(body?.bytes)
  })
}

/**
 * A loss before guestd has ever answered. Over vsock it is what a process in the guest meets that
 * connects to the guest itself. The Unix socket of a VM's vsock device takes the first line for its
 * `CONNECT`, and closes.
 */
function closedUnanswered(cause: ConnectError, address: Address): ConnectError {
  const hint = unansweredHint(address)
  if (hint === null) return cause
  const detail = `closed without an answer: ${hint}`
  return new ConnectError('lost', cause.address, { detail, cause })
}

function unansweredHint(address: Address): string | null {
  switch (address.kind) {
    case 'vsock':
      return 'over vsock guestd serves only the host'
    case 'unix': {
      const { path } = address
      const vm = formatAddress({ kind: 'firecracker', path, port: IMAGE_PORT })
      return `if it is the Unix socket of a VM's vsock device, the address is ${vm}`
    }
    default:
      return null
  }
}

/** Every reply of guestd names its version. */
function checkSpeaker(reply: http.IncomingMessage, at: string): void {
  if (reply.headers['guestd-version'] !== undefined) return
  reply.destroy()
  throw new ConnectError('wrong_socket', at, {
    detail: `HTTP ${reply.statusCode} without a Guestd-Version`,
  })
}

/** An unknown route below this client's prefix is another version of the API. */
async function refusal(
  reply: http.IncomingMessage,
  at: string,
  limitMs: number,
): Promise<GuestdError | ConnectError> {
  const error = toGuestdError(await readWhole(reply, at, limitMs))
  if (error !== null && error.code !== 'not_found') return error
  const version = reply.headers['guestd-version']
  return new ConnectError('version_mismatch', at, {
    detail: `guestd ${version} answered HTTP ${reply.statusCode} where API version ${CLIENT_API_VERSION} has a route`,
    cause: error,
  })
}

async function readWhole(
  reply: http.IncomingMessage,
  at: string,
  limitMs: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of withIdleTimeout(reply, { at, signal: undefined, limitMs })) {
    bytes += chunk.length
    if (bytes > MAX_REPLY_BYTES) {
      throw new ConnectError('wrong_socket', at, { detail: `a reply over ${MAX_REPLY_BYTES} B` })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
