/** One HTTP request: over a connection to the guest, up to the head of its reply. */

import http from 'node:http'
import { Duplex } from 'node:stream'
import { type Address, formatAddress } from './address.ts'
import { ConnectError, fromConnect, fromConnection } from './connect-error.ts'
import { dial } from './dial.ts'
import { createIdleTimer } from './idle-timeout.ts'

/** Connections that stay open between requests. */
const MAX_IDLE_SOCKETS = 16

/** Opens the connections of requests to one address, with the handshake that the address needs. */
export class DialingAgent extends http.Agent {
  readonly #address: Address
  readonly #timeoutMs: number

  /**
   * @param timeoutMs limit for opening a connection, in milliseconds
   * @param keepAlive whether a connection serves more than one request
   */
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
      // The type of the callback needs a stream beside the error.
      error => callback?.(fromConnect(error, formatAddress(this.#address)), new Duplex().destroy()),
    )
  }
}

export interface HttpRequest {
  readonly agent: http.Agent
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: string | Uint8Array | undefined
  readonly signal: AbortSignal | undefined
  /** The address, for errors. */
  readonly at: string
  /** Limit for the connection and the head of the reply together, in milliseconds; 0: none. */
  readonly limitMs: number
  /** Called when the limit has passed. If it resolves with true, the limit starts again. */
  readonly isAlive: (() => Promise<boolean>) | null
}

/**
 * Resolves with the head of the reply.
 *
 * @throws ConnectError, or the reason of the signal
 */
export function sendRequest(options: HttpRequest): Promise<http.IncomingMessage> {
  const { agent, method, path, headers, body, signal, at, limitMs, isAlive } = options
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
      // An error without a listener would end the process. A reader gets it from its iterator.
      reply.on('error', () => {})
      resolve(reply)
    })
    request.end(body)
  })
}
