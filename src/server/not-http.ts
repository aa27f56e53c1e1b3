/** Replies to peers that do not speak HTTP, where a reply is possible, and closes the connection. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { PROBLEM_TYPE, problemBytes } from '../api/problems.ts'
import { type ErrorCode, GuestdError } from '../errors.ts'

export interface NonHttp {
  /** The error of Node's parser or of its timer. */
  readonly error: NodeJS.ErrnoException
  readonly socket: Duplex
  /** The latest reply on the connection. */
  readonly response: ServerResponse | undefined
  readonly version: string
}

export function refuseNonHttp({ error, socket, response, version }: NonHttp): void {
  // In the middle of a reply a second one would be taken for a part of it.
  const midReply = response?.headersSent === true && !response.writableFinished
  if (error.code === 'ECONNRESET' || !socket.writable || midReply) {
    socket.destroy()
    return
  }
  const known = Object.hasOwn(refusals, error.code ?? '') ? refusals[error.code ?? ''] : undefined
  const { code, reason, detail } = known ?? {
    code: 'invalid_request',
    reason: 'Bad Request',
    detail: `this is not HTTP: ${error.message}`,
  }
  answer(socket, new GuestdError(code, detail), reason, version)
}

/** guestd is not a proxy. */
export function refuseConnect(request: IncomingMessage, socket: Duplex, version: string): void {
  const detail = `guestd does not connect to ${request.url ?? ''}: it is no proxy`
  socket.on('error', () => socket.destroy())
  answer(socket, new GuestdError('method_not_allowed', detail), 'Method Not Allowed', version, [
    'Allow: DELETE, GET, HEAD, POST, PUT',
  ])
}

function answer(
  socket: Duplex,
  problem: GuestdError,
  reason: string,
  version: string,
  headers: readonly string[] = [],
): void {
  const body = problemBytes(problem)
  const head = [
    `HTTP/1.1 ${problem.status} ${reason}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${body.length}`,
    `Guestd-Version: ${version}`,
    'Connection: close',
    ...headers,
  ]
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]), () => {
    socket.destroy()
  })
}

interface Refusal {
  readonly code: ErrorCode
  /** Reason phrase of the status line. */
  readonly reason: string
  readonly detail: string
}

/** By Node's error code. Any other code is bad syntax. */
const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    code: 'headers_too_large',
    reason: 'Request Header Fields Too Large',
    detail: 'the request line and the header fields are too long',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    code: 'too_large',
    reason: 'Content Too Large',
    detail: 'the extensions of the chunks are too long',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    code: 'request_timeout',
    reason: 'Request Timeout',
    detail: 'no whole header arrived in time',
  },
}
