/** What becomes of a body that a reply came before. */

import type { App } from './types.ts'

/**
 * How long the rest of a body is read and thrown away after the reply, in milliseconds. Closing at
 * once would reset the connection, and a client that still writes would lose the reply with it;
 * reading for ever would let it wedge the connection.
 */
const LINGER_MS = 1_000

export function lingerOnUnreadBodies(app: App): void {
  app.addHook('onResponse', ({ raw }, _reply, done) => {
    done()
    if (raw.complete || raw.destroyed) return
    const timer = setTimeout(() => raw.destroy(), LINGER_MS).unref()
    const settle = () => clearTimeout(timer)
    raw.on('end', settle).on('close', settle).on('error', settle).resume()
  })
}
