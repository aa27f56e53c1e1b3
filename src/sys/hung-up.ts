/** Whether the other side of a socket is gone, though what it sent is not read yet. */
import type { Socket } from 'node:net'
import { native } from './native.ts'

/**
 * True once both directions are closed: by a close of the peer on a Unix socket or vsock, by a reset on TCP, where a
 * close alone looks like the end of what the peer sends. Node sees it only after it has read all before it.
 */
export function isHungUp(socket: Socket): boolean {
  if (socket.destroyed) return true
  const holder: { _handle?: { fd?: number } | null } = Object.create(socket)
  const fd = holder._handle?.fd ?? -1
  return fd >= 0 && native.isHungUp(fd)
}
