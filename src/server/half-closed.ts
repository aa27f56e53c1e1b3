/** Connections whose client has shut down its sending side and waits for its reply. */

import type { Socket } from 'node:net'
import { isPeerGone } from '../sys/vsock.ts'

/** How often the peers of such connections are looked at, in milliseconds: EOF hides their close. */
const CHECK_MS = 250

export interface HalfClosed {
  /** Looks at the connection from now on, and destroys it once its peer has closed it. */
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
