/** Keepalives of a silent stream: a client can then distinguish a quiet command from a lost machine. */
import type { ServerResponse } from 'node:http'

/** Makes nginx, and proxies that support its header, pass each chunk on at once. */
export const NO_PROXY_BUFFER = { 'X-Accel-Buffering': 'no' } as const

export interface Keepalive {
  /** Call it after something was sent. */
  refresh(): void
  stop(): void
}

/**
 * Sends nothing while the client does not read, and nothing after the end of the stream.
 *
 * @param everyMs longest silence, in milliseconds
 */
export function createKeepalive(
  response: ServerResponse,
  everyMs: number,
  send: () => void,
): Keepalive {
  const timer = setTimeout(() => {
    if (response.writableEnded) return
    if (!response.writableNeedDrain) send()
    timer.refresh()
  }, everyMs).unref()
  // Only a write shows whether a TCP peer has closed the connection or just its sending side.
  const { socket } = response
  const probe = () => {
    if (!response.writableEnded && !response.writableNeedDrain) send()
  }
  if (socket?.remoteAddress !== undefined) socket.once('end', probe)
  return {
    refresh: () => void timer.refresh(),
    stop: () => {
      clearTimeout(timer)
      socket?.off('end', probe)
    },
  }
}
