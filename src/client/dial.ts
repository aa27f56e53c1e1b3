/** Opens connections: sockets on which HTTP can begin. */

import net from 'node:net'
import { type Address, formatAddress } from './address.ts'
import { ConnectError, fromConnect } from './connect-error.ts'
import { shakeHands } from './firecracker.ts'
import { createIdleTimer } from './idle-timeout.ts'

/**
 * @param timeoutMs limit for the connection and its handshake together, in milliseconds
 * @throws ConnectError
 */
export async function dial(address: Address, timeoutMs: number): Promise<net.Socket> {
  const at = formatAddress(address)
  const deadline = new AbortController()
  const timer = createIdleTimer(timeoutMs, () => deadline.abort())
  try {
    return await open(address, at, deadline.signal)
  } catch (error) {
    if (!deadline.signal.aborted) throw fromConnect(error, at)
    const hint = address.kind === 'firecracker' ? `; guestd's own socket is unix:PATH` : ''
    throw new ConnectError('timeout', at, { detail: `${timeoutMs} ms${hint}`, cause: error })
  } finally {
    timer.stop()
  }
}

/** The signal destroys the socket. It fires only until the socket is open. */
async function open(address: Address, at: string, signal: AbortSignal): Promise<net.Socket> {
  switch (address.kind) {
    case 'unix':
      return await connected(net.connect({ path: address.path, signal }))
    case 'tcp':
      return await connected(net.connect({ host: address.host, port: address.port, signal }))
    case 'firecracker': {
      const socket = await connected(net.connect({ path: address.path, signal }))
      return await shakeHands(socket, address.port, at)
    }
    case 'vsock':
      return await openVsock(address.cid, address.port, at, signal)
  }
}

function connected(socket: net.Socket): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

/** Loads the addon only here, so that the other kinds of address work without it. */
async function openVsock(
  cid: number,
  port: number,
  at: string,
  signal: AbortSignal,
): Promise<net.Socket> {
  const { connectVsock } = await import('../sys/vsock.ts').catch((cause: unknown) => {
    throw new ConnectError('unsupported', at, { detail: 'the addon cannot be loaded', cause })
  })
  const opening = connectVsock(cid, port).catch((cause: unknown) => {
    throw isReset(cause) ? new ConnectError('no_guest_listener', at, { cause }) : cause
  })
  const aborted = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => {
    aborted.reject(signal.reason)
    opening.then(
      socket => socket.destroy(),
      () => {},
    )
  })
  return await Promise.race([opening, aborted.promise])
}

/** The answer of a guest's kernel for a port without a listener (vsock(7)). */
function isReset(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET'
}
