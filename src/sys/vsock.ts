/**
 * AF_VSOCK in Node. The addon makes the socket calls, and the `TCP` handle of Node's `tcp_wrap` binding wraps the fd:
 * `listen({fd})` and Pipe handles fail with EINVAL on such a socket. Delete this file when Node supports vsock.
 */
import { Socket } from 'node:net'
import { native } from './native.ts'

/** VMADDR_CID_HOST, vsock(7): the CID of the host. */
export const HOST_CID = 2

/** A libuv stream handle. Only node:net uses it. */
export interface StreamHandle {
  open(fd: number): number
}

interface TcpWrap {
  readonly TCP: new (type: number) => StreamHandle & { readonly fd: number }
  readonly constants: { readonly SOCKET: number; readonly SERVER: number }
}

/** A handle for `server.listen(handle)`, listening on every CID of this machine. */
export function listenVsock(port: number): StreamHandle {
  return wrapListener(native.vsockListen(port))
}

/** The same for an inherited listening socket of any family. */
export function wrapListener(fd: number): StreamHandle {
  const wrap = tcpWrap()
  return open(new wrap.TCP(wrap.constants.SERVER), fd)
}

/** @throws Error with the `code` of connect(2), such as ECONNRESET when no process listens. */
export async function connectVsock(cid: number, port: number): Promise<Socket> {
  const fd = native.vsockConnect(cid, port)
  const errno = await new Promise<string | null>(resolve => native.vsockConnected(fd, resolve))
  const wrap = tcpWrap()
  // A failed one gets a socket too, which closes the fd.
  const handle = open(new wrap.TCP(wrap.constants.SOCKET), fd)
  const socket = new Socket(handleOption(handle))
  if (errno === null) return socket
  socket.destroy()
  throw Object.assign(new Error(`connect to vsock:${cid}:${port}: ${errno}`), { code: errno })
}

/**
 * CID of the peer of an accepted connection; `null` when it is not a vsock connection. A process in the same guest has
 * VMADDR_CID_LOCAL (1) or the CID of the guest.
 */
export function peerCid(socket: Socket): number | null {
  const fd = handleFd(socket)
  if (fd === null) return null
  const cid = native.vsockPeer(fd)
  return cid < 0 ? null : cid
}

export function socketFamily(fd: number): 'vsock' | 'unix' | 'inet' | 'other' {
  return native.socketFamily(fd)
}

/**
 * Whether the peer has closed the connection, even when Node has not read everything that it has sent. A peer that has
 * only shut down its sending side still reads. For TCP a close is known after a write that the peer answers with a
 * reset. False for a request without a connection.
 */
export function isPeerGone(socket: Socket): boolean {
  if (socket.destroyed) return true
  const fd = handleFd(socket) ?? -1
  return fd >= 0 && native.peerGone(fd)
}

function open<H extends StreamHandle>(handle: H, fd: number): H {
  const error = handle.open(fd)
  if (error === 0) return handle
  throw new Error(`cannot wrap socket ${fd}: libuv error ${error}`)
}

/** Only `process.binding` returns tcp_wrap. Node's types do not contain it. */
function tcpWrap(): TcpWrap {
  const host: { binding?: (name: string) => TcpWrap } = Object.create(process)
  if (host.binding === undefined) throw new Error('this Node has no process.binding')
  return host.binding('tcp_wrap')
}

/** `handle` is an option of net.Socket that its types do not contain. */
function handleOption(handle: StreamHandle): { readable: true; writable: true } {
  return Object.assign({ readable: true, writable: true } as const, { handle })
}

function handleFd(socket: Socket): number | null {
  const holder: { _handle?: { fd?: number } | null } = Object.create(socket)
  return holder._handle?.fd ?? null
}
