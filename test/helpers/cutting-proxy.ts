/** A Unix socket in front of another that cuts connections where the test wants it. */

import net from 'node:net'

export interface CuttingProxy {
  readonly path: string
  /** Connections that were cut. */
  readonly cuts: number
  /** Connections that were taken. */
  readonly connections: number
  close(): Promise<void>
}

export interface CuttingProxyOptions {
  readonly path: string
  readonly target: string
  /**
   * For each connection, counted from 0: bytes to let through before it is cut, `down` from guestd
   * and `up` to it. What is left out is never cut.
   */
  readonly limits: (connection: number) => { readonly down?: number; readonly up?: number }
}

export async function startCuttingProxy(options: CuttingProxyOptions): Promise<CuttingProxy> {
  const open = new Set<net.Socket>()
  let cuts = 0
  let connections = 0

  const server = net.createServer({ allowHalfOpen: true }, client => {
    const { down = Infinity, up = Infinity } = options.limits(connections)
    connections += 1
    const target = net.connect({ path: options.target, allowHalfOpen: true })
    let isCut = false
    const end = () => {
      client.destroy()
      target.destroy()
    }
    const cut = () => {
      if (isCut) return
      isCut = true
      cuts += 1
      // What was let through arrives before the connection ends.
      client.end(() => end())
      target.destroy()
    }
    for (const socket of [client, target]) {
      open.add(socket)
      socket.on('error', end)
      socket.on('close', () => {
        open.delete(socket)
        if (!isCut) end()
      })
    }
    forward(target, client, down, cut)
    forward(client, target, up, cut)
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(options.path, resolve)
  })

  return {
    path: options.path,
    get cuts() {
      return cuts
    },
    get connections() {
      return connections
    },
    close: async () => {
      for (const socket of open) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function forward(from: net.Socket, to: net.Socket, limit: number, cut: () => void): void {
  let left = limit
  from.on('data', chunk => {
    const part = chunk.subarray(0, Math.max(0, left))
    left -= chunk.length
    if (part.length > 0 && !to.write(part)) {
      from.pause()
      to.once('drain', () => from.resume())
    }
    if (left <= 0) cut()
  })
  from.on('end', () => to.end())
}
