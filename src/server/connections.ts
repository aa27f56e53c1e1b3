/** The connections of the servers: their limits, their end, and peers that do not speak HTTP. */

import type {
  IncomingMessage,
  RequestListener,
  Server,
  ServerOptions,
  ServerResponse,
} from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { PROBLEM_TYPE, problemBytes } from '../api/problems.ts'
import type { Config } from '../config/types.ts'
import { GuestdError } from '../errors.ts'
import { createHalfClosed } from './half-closed.ts'
import { refuseConnect, refuseNonHttp } from './not-http.ts'

/** Most bytes of a request's line and header fields together; more are 431. */
export const MAX_HEADER_BYTES = 16 * 1024

/** How long a connection may idle between requests, in milliseconds. */
export const KEEP_ALIVE_MS = 30_000

/** How often slow senders are looked for, in milliseconds: limits are kept to that much. */
const CHECK_MS = 1_000

/** After how much silence the kernel asks whether a peer of a TCP connection still is there, in ms. */
const TCP_KEEPALIVE_MS = 15_000

export interface ConnectionSettings extends Pick<Config, 'headersTimeoutMs' | 'maxConnections'> {
  /** Version of guestd, for the header of each reply. */
  readonly version: string
}

export interface Connections {
  /** With {@link Connections.handler}, the arguments of createServer. */
  readonly serverOptions: ServerOptions
  readonly handler: RequestListener
  /** Sets the rest of a server's limits, and replies to peers that do not speak HTTP. */
  guard(server: Server, options: { readonly isTcp: boolean }): void
  /**
   * Stops listening, closes idle connections at once and the others after their reply, or after
   * `limitMs` in any case. `Server.close` would cut off replies that are not sent yet.
   */
  drain(server: Server, limitMs: number): Promise<void>
}

export function createConnections(
  { headersTimeoutMs, maxConnections, version }: ConnectionSettings,
  route: RequestListener,
): Connections {
  /** The latest reply of each connection. */
  const replies = new WeakMap<Duplex, ServerResponse>()
  /** The open connections of each server. */
  const connections = new WeakMap<Server, Set<Duplex>>()
  const halfClosed = createHalfClosed()

  const handler = (request: IncomingMessage, response: ServerResponse) => {
    replies.set(request.socket, response)
    response.setHeader('Guestd-Version', version)
    takeOriginForm(request)
    route(request, response)
  }

  const guard = (server: Server, { isTcp }: { readonly isTcp: boolean }) => {
    const open = new Set<Duplex>()
    connections.set(server, open)
    server.maxConnections = maxConnections
    // An EOF is no disconnect: clients such as `nc -N` send one after their request.
    Object.assign(server, { httpAllowHalfOpen: true })
    server.on('connection', (socket: Socket) => {
      open.add(socket)
      if (isTcp) socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
      socket.once('end', () => halfClosed.watch(socket))
      socket.once('close', () => open.delete(socket))
    })
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const response = replies.get(socket)
      if (error.code !== 'ECONNRESET' && response !== undefined && isRunning(response)) {
        // An answer now would be taken for the reply of the request that runs.
        response.shouldKeepAlive = false
        closeAfterReply(socket, response)
        // Nothing is read any more, so that its EOF is not seen.
        socket.pause()
        halfClosed.watch(socket)
        return
      }
      refuseNonHttp({ error, socket, response, version })
    })
    server.on('connect', (request: IncomingMessage, socket: Duplex) => {
      refuseConnect(request, socket, version)
    })
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
      const detail = `the expectation ${request.headers.expect} cannot be met`
      const problem = new GuestdError('invalid_request', detail, { field: 'expect' })
      response.setHeader('Guestd-Version', version)
      response.writeHead(problem.status, { 'Content-Type': PROBLEM_TYPE, Connection: 'close' })
      response.end(problemBytes(problem))
    })
  }

  const drain = async (server: Server, limitMs: number) => {
    const closed = new Promise<void>(resolve => {
      // Not the method of http.Server: that destroys connections whose reply is not sent yet.
      NetServer.prototype.close.call(server, () => resolve())
    })
    const open = connections.get(server) ?? new Set()
    for (const socket of open) closeAfterReply(socket, replies.get(socket))
    const timer = setTimeout(() => {
      for (const socket of open) socket.destroy()
    }, limitMs)
    await closed
    clearTimeout(timer)
    // Ends the server's search for slow senders; that it is closed already is no matter.
    server.close(() => {})
  }

  return {
    serverOptions: {
      headersTimeout: headersTimeoutMs,
      // A body may take as long as a command reads it; JSON bodies have a limit of their own.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(CHECK_MS, headersTimeoutMs),
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // Nobody is served by name here.
      requireHostHeader: false,
    },
    handler,
    guard,
    drain,
  }
}

/** Whether its request is complete, or waits behind another, and the reply is not sent in full. */
function isRunning(response: ServerResponse): boolean {
  return !response.writableFinished && (response.req.complete || response.socket === null)
}

/** `GET http://host/path` is `GET /path` to that host (RFC 9112, 3.2.2). */
function takeOriginForm(request: IncomingMessage): void {
  const [, authority = '', rest = ''] = /^https?:\/\/([^/?#]*)(.*)$/i.exec(request.url ?? '') ?? []
  if (authority === '') return
  request.headers.host = authority
  request.url = rest.startsWith('/') ? rest : `/${rest}`
}

function closeAfterReply(socket: Duplex, response: ServerResponse | undefined): void {
  if (response === undefined || response.writableFinished) {
    socket.destroy()
    return
  }
  response.once('finish', () => {
    // What the reply left in the socket goes out first.
    socket.end(() => socket.destroy())
  })
}
