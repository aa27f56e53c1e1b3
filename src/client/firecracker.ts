/**
 * The handshake on the Unix socket of a VM's vsock device (Firecracker, Cloud Hypervisor, vhost-device-vsock).
 * The host writes `CONNECT <port>\n`. When the guest has accepted the connection, the socket answers
 * `OK <host port>\n`. Without a listener in the guest it closes without an answer.
 * https://github.com/firecracker-microvm/firecracker/blob/main/docs/vsock.md
 */

import type net from 'node:net'
import { firstOf } from '../util/cut-text.ts'
import { ConnectError } from './connect-error.ts'

/** Limit for the answer, in bytes. `OK `, a 32-bit number and a newline have 14. */
const MAX_LINE_BYTES = 32

/**
 * Performs the handshake for a port. Returns the same socket, at the first byte after the answer.
 *
 * @param at the address, for errors
 * @throws ConnectError `no_guest_listener`, `wrong_socket`; the socket is destroyed
 */
export async function shakeHands(
  socket: net.Socket,
  port: number,
  at: string,
): Promise<net.Socket> {
  socket.write(`CONNECT ${port}\n`)
  try {
    const line = await readLine(socket, at)
    if (!/^OK \d{1,10}$/.test(line)) throw wrongSocket(at, line)
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** Reads one line. Bytes after it go back to the socket. */
function readLine(socket: net.Socket, at: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    const onReadable = () => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      received = Buffer.concat([received, chunk])
      const newline = received.subarray(0, MAX_LINE_BYTES).indexOf('\n')
      if (newline >= 0) {
        settle()
        if (newline + 1 < received.length) socket.unshift(received.subarray(newline + 1))
        resolve(received.toString('latin1', 0, newline))
      } else if (received.length >= MAX_LINE_BYTES) {
        settle()
        reject(wrongSocket(at, received.toString('latin1')))
      }
    }
    const onClosed = () => {
      settle()
      reject(new ConnectError('no_guest_listener', at))
    }
    const settle = () => {
      socket.off('readable', onReadable)
      socket.off('end', onClosed)
      socket.off('close', onClosed)
      socket.off('error', onClosed)
    }
    socket.on('readable', onReadable)
    socket.on('end', onClosed)
    socket.on('close', onClosed)
    socket.on('error', onClosed)
  })
}

function wrongSocket(at: string, answer: string): ConnectError {
  const shown = firstOf(answer, MAX_LINE_BYTES).split(/[\r\n]/)[0]
  return new ConnectError('wrong_socket', at, {
    detail: `it answered ${JSON.stringify(shown)} to CONNECT`,
  })
}
