/** HTTP by hand: what no normal client sends, and what comes back for it. */

import { connect, type Socket } from 'node:net'

export interface RawConnection {
  readonly socket: Socket
  write(text: string | Uint8Array): void
  /** What has come so far. */
  text(): string
  /** What came until guestd closed the connection. Rejects after `limitMs`. */
  closed(limitMs?: number): Promise<string>
}

/** How long to wait for a close that is due, in milliseconds: far above every limit of a test. */
const CLOSE_LIMIT_MS = 10_000

export async function connectRaw(socketPath: string): Promise<RawConnection> {
  const socket = connect(socketPath)
  let received = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text
  })
  const end = new Promise<void>(resolve => {
    socket.once('close', () => resolve())
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject)
  })
  // A peer that closes while this side still writes resets the connection: the close event follows.
  socket.on('error', () => {})
  return {
    socket,
    write: text => {
      socket.write(text)
    },
    text: () => received,
    async closed(limitMs = CLOSE_LIMIT_MS) {
      const { promise, reject } = Promise.withResolvers<never>()
      const late = () => reject(new Error(`not closed within ${limitMs} ms: ${received}`))
      const timer = setTimeout(late, limitMs)
      await Promise.race([end, promise])
      clearTimeout(timer)
      return received
    },
  }
}

export interface RawReply {
  readonly status: number
  readonly header: string
  readonly body: string
}

/** The first reply in a text; its body is all that follows. */
export function parseReply(text: string): RawReply {
  const [header = '', ...body] = text.split('\r\n\r\n')
  return {
    status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(header)?.[1]),
    header,
    body: body.join('\r\n\r\n'),
  }
}
