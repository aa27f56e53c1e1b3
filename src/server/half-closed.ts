/** Connections whose client has shut down its sending side and waits for the reply. */

import type { Socket } from 'node:net'
import { isPeerGone } from '../sys/vsock.ts'

/** Interval of the checks of the peers, in milliseconds: after EOF no event reports that a peer closes. */
const CHECK_MS = 250

export interface HalfClosed {
  /** Checks the connection from now on, and destroys it once its peer has closed it. */
  watch(socket: Socket): void
}

export function createHalfClosed(): HalfClosed {
  const watched = new Set<Socket>()
  let timer: NodeJS.Timeout | null = null

  const look = (socket: Socket) => {
    if (isPeerGone(socket)) socket.destroy()
  }
  const settle = (socket: Socket) => {
    watched.delete(socket)
    if (watched.size > 0 || timer === null) return
    clearInterval(timer)
    timer = null
  }
  return {
    watch(socket) {
      if (socket.destroyed || watched.has(socket)) return
      watched.add(socket)
      socket.once('close', () => settle(socket))
      timer ??= setInterval(() => {
        for (const one of watched) look(one)
      }, CHECK_MS).unref()
      look(socket)
    },
  }
}
