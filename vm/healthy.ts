/** Asks the guest over its vsock device, as Firecracker's clients do, whether guestd is up. */

import net from 'node:net'

/** One attempt: a guest under load answers in some 10 ms, a booting one drops the connection. */
const ATTEMPT_LIMIT_MS = 3_000

/**
 * Whether `GET /healthz` is answered on a port of the guest.
 * @param socketPath the Unix socket in front of the vsock device; `CONNECT PORT` opens a stream
 */
export function isHealthy(socketPath: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect(socketPath)
    let answer = ''
    const settle = (healthy: boolean): void => {
      socket.destroy()
      resolve(healthy)
    }
    socket.setEncoding('latin1')
    socket.setTimeout(ATTEMPT_LIMIT_MS, () => settle(false))
    socket.on('error', () => settle(false))
    socket.on('close', () => settle(false))
    socket.on('connect', () => socket.write(`CONNECT ${port}\n`))
    socket.on('data', (chunk: string) => {
      const greeted = answer.includes('\n')
      answer += chunk
      if (!greeted && answer.includes('\n')) {
        if (!/^OK \d+\n/.test(answer)) return settle(false)
        socket.write('GET /healthz HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n\r\n')
      }
      const status = /^OK \d+\nHTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]
      if (status !== undefined) settle(status === '200')
    })
  })
}
