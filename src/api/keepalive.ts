/** The word of a stream that is silent: its reader can tell a quiet command from a dead machine. */
import type { ServerResponse } from 'node:http'

/** Has nginx, and proxies that follow it, pass a reply on as it comes. */
export const NO_PROXY_BUFFER = { 'X-Accel-Buffering': 'no' } as const

export interface Keepalive {
  /** Something was sent. */
  refresh(): void
  stop(): void
}

/**
 * A client that does not take what it has gets none. After the end of the stream nothing is sent: a client
 * that stalls holds that back for as long as it likes.
 *
 * @param everyMs after so much silence, in milliseconds
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
  // A TCP peer that has closed looks like a peer that only ended its request, until something is sent to it.
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
