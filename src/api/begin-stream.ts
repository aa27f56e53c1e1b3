/** The begin of a streamed reply. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { NO_PROXY_BUFFER } from './keepalive.ts'

export interface StreamHead {
  readonly mediaType: string
  /** Longest silence before a keepalive, in milliseconds. */
  readonly keepaliveMs: number
  readonly headers?: OutgoingHttpHeaders | undefined
}

/**
 * Writes the head, and calls `close` once when the connection is over.
 *
 * @returns false: the client disconnected before the reply began, and `close` was called
 */
export function beginStream(
  response: ServerResponse,
  { mediaType, keepaliveMs, headers }: StreamHead,
  close: () => void,
): boolean {
  response.on('close', close)
  if (response.destroyed) {
    close()
    return false
  }
  response.writeHead(200, {
    'Content-Type': mediaType,
    'Cache-Control': 'no-store',
    ...NO_PROXY_BUFFER,
    // Clients derive from it when a silent connection is lost.
    'Guestd-Keepalive-Ms': String(keepaliveMs),
    ...headers,
  })
  return true
}
