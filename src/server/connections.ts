/** The connections of the servers: their limits, their draining, and peers that do not speak HTTP. */

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
import { createHalfClosed, type HalfClosed } from './half-closed.ts'
import { refuseConnect, refuseNonHttp } from './not-http.ts'

/** Most bytes of the request line and the header fields together; more are 431. */
export const MAX_HEADER_BYTES = 16 * 1024

/** How long a connection may be idle between requests, in milliseconds. */
export const KEEP_ALIVE_MS = 30_000

/** Interval of the checks for slow senders, in milliseconds: limits are exact to this much. */
const CHECK_MS = 1_000

/** Silence after which the kernel probes the peer of a TCP connection, in milliseconds. */
const TCP_KEEPALIVE_MS = 15_000

export interface ConnectionSettings extends Pick<Config, 'headersTimeoutMs' | 'maxConnections'> {
  /** Version of guestd, for the header of each reply. */
  readonly version: string
}

export interface Connections {
  /** With {@link Connections.handler}, the arguments of createServer. */
  readonly serverOptions: ServerOptions
  readonly handler: RequestListener
  /** Sets the other limits of a server, and replies to peers that do not speak HTTP. */
  guard(server: Server, options: { readonly isTcp: boolean }): void
  /**
   * Stops listening, closes idle connections at once and the others after their reply, or after `limitMs` in any case.
   * `Server.close` would cut off replies that are not sent yet.
   */
  drain(server: Server, limitMs: number): Promise<void>
}

export function createConnections(
  settings: ConnectionSettings,
  route: RequestListener,
): Connections {
  const { version, maxConnections } = settings
  /** The latest reply of each connection. */
  const replies: Replies = new WeakMap()
  /** The open connections of each server. */
  const connections = new WeakMap<Server, Set<Duplex>>()
  const halfClosed = createHalfClosed()

  return {
    serverOptions: serverOptionsOf(settings),
    handler(request, response) {
      replies.set(request.socket, response)
      response.setHeader('Guestd-Version', version)
      takeOriginForm(request)
      route(request, response)
    },
    guard(server, { isTcp }) {
      const open = new Set<Duplex>()
      connections.set(server, open)
      server.maxConnections = maxConnections
      // An EOF is not a disconnect: clients such as `nc -N` send one after their request.
      Object.assign(server, { httpAllowHalfOpen: true })
      server.on('connection', (socket: Socket) => {
        open.add(socket)
        if (isTcp) socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
        socket.once('end', () => halfClosed.watch(socket))
        socket.once('close', () => open.delete(socket))
      })
      refuseOthers(server, replies, halfClosed, version)
    },
    async drain(server, limitMs) {
      const closed = new Promise<void>(resolve => {
        // Not the method of http.Server: it destroys connections whose reply is not sent yet.
        NetServer.prototype.close.call(server, () => resolve())
      })
      const open = connections.get(server) ?? new Set()
      for (const socket of open) closeAfterReply(socket, replies.get(socket))
      const timer = setTimeout(() => {
        for (const socket of open) socket.destroy()
      }, limitMs)
      await closed
      clearTimeout(timer)
      // Ends the checks for slow senders. It fails, because the server is closed already.
      server.close(() => {})
    },
  }
}

type Replies = WeakMap<Duplex, ServerResponse>

function serverOptionsOf({ headersTimeoutMs }: ConnectionSettings): ServerOptions {
  return {
    headersTimeout: headersTimeoutMs,
    // A body may take as long as a command reads it. JSON bodies have a limit of their own.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(CHECK_MS, headersTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    // There are no virtual hosts.
    requireHostHeader: false,
  }
}

/** Replies to bad syntax, CONNECT and unknown expectations: the API never sees them. */
function refuseOthers(
  server: Server,
  replies: Replies,
  halfClosed: HalfClosed,
  version: string,
): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const response = replies.get(socket)
    if (error.code !== 'ECONNRESET' && response !== undefined && isRunning(response)) {
      // A client would take an error reply for the reply of the request that runs.
      response.shouldKeepAlive = false
      closeAfterReply(socket, response)
      // Nothing is read any more, so no event reports its EOF.
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

/** Whether its request is complete or waits behind another one, and the reply is not sent completely. */
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
    // The rest of the reply in the socket is sent first.
    socket.end(() => socket.destroy())
  })
}
