/** The requests that start a command, read its output, and ask for the state of its standard input. */

import type { IncomingMessage } from 'node:http'
import { GuestdError } from '../errors.ts'
import type { MediaType } from '../protocol/negotiate.ts'
import type { RunAccepted, StdinReply } from '../protocol/schemas.ts'
import type { RequestBody, Transport } from './transport.ts'
import type { StartRequest } from './types.ts'

/** Frames with raw bytes. */
const FRAMES: MediaType = 'application/vnd.amazon.eventstream'

/** One attempt at a request. */
export interface Attempt {
  readonly signal: AbortSignal | undefined
  /** In milliseconds; `undefined`: the limit of the transport. */
  readonly timeoutMs: number | undefined
}

export interface OutputQuery {
  /** In bytes of output. */
  readonly cursor: number
  readonly follow: boolean
  /** Takes over the role of the starter: a slow read makes the command wait. */
  readonly hold?: true
}

export interface CommandRequests {
  /** Starts a command; the reply is a stream of its frames. */
  run(body: RequestBody, attempt: Attempt): Promise<IncomingMessage>
  /** Starts a command that needs no reader. */
  start(body: RequestBody, attempt: Attempt): Promise<RunAccepted>
  /** The reply is a stream of frames. */
  output(id: string, query: OutputQuery, attempt: Attempt): Promise<IncomingMessage>
  /** How many bytes of standard input the command has been given so far. */
  acceptedStdinBytes(id: string, signal: AbortSignal | undefined): Promise<number>
}

export function createCommandRequests(transport: Transport): CommandRequests {
  const START = { method: 'POST', path: '/v1/commands', repeatable: true } as const
  return {
    run: (body, attempt) => transport.send({ ...START, ...attempt, accept: FRAMES, body }),
    start: (body, attempt) => transport.json<RunAccepted>({ ...START, ...attempt, body }),
    output: (id, { cursor, follow, hold }, attempt) => {
      const query = `cursor=${cursor}&follow=${follow}${hold === undefined ? '' : '&hold=true'}`
      const path = commandPath(id, `/output?${query}`)
      return transport.send({ method: 'GET', path, accept: FRAMES, ...attempt })
    },
    acceptedStdinBytes: async (id, signal) => {
      const body = { type: 'application/octet-stream', bytes: '' }
      const path = commandPath(id, '/stdin')
      const exchange = { method: 'POST', path, body, signal, slow: true } as const
      return (await transport.json<StdinReply>(exchange)).acceptedBytes
    },
  }
}

export function commandPath(id: string, rest = ''): string {
  return `/v1/commands/${encodeURIComponent(id)}${rest}`
}

/**
 * The body of a start. Encode it once for all attempts: guestd accepts a repeated id only with the same body.
 *
 * @throws GuestdError `invalid_request` for a field that belongs to another call
 */
export function encodeRequest(request: StartRequest, detach: boolean): RequestBody {
  if ('input' in request) {
    throw new GuestdError('invalid_request', 'only run() takes input', { field: 'input' })
  }
  if ('detach' in request) {
    throw new GuestdError('invalid_request', 'use start() to detach', { field: 'detach' })
  }
  const bytes = JSON.stringify(detach ? { ...request, detach } : request)
  return { type: 'application/json', bytes }
}
