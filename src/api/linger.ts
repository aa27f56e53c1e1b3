/** Reads and drops the rest of a body when the reply is sent before the body is complete. */

import type { App } from './types.ts'

/**
 * How long the rest of a body is read and dropped after the reply, in milliseconds. Without it the connection would be
 * reset, and a client that still writes would lose the reply. Without a limit a client could hold the connection open.
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
