/** Serving the API wherever guestd listens. */
import { createServer, type Server } from 'node:http'
import type { Api } from '../api/api.ts'
import type { Config, ListenAddress } from '../config.ts'
import { StartError } from '../errors.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../util/message-of.ts'
import { openListener } from './listeners.ts'

export interface Served {
  /** Where it is served. */
  readonly listening: readonly string[]
  /** Closes every listener; replies under way have `limitMs`. */
  drain(limitMs: number): Promise<void>
}

/** @throws StartError that names the address and the reason, once what was opened is closed */
export async function serve(
  api: Api,
  addresses: readonly ListenAddress[],
  log: Log,
): Promise<Served> {
  await api.ready()
  const servers: Server[] = []
  const listening: string[] = []
  const refused = logRefused(log)
  for (const address of addresses) {
    const server = createServer(api.serverOptions, api.handler)
    api.guard(server)
    try {
      listening.push(await openListener(server, address, refused))
    } catch (error) {
      await Promise.all(servers.map(opened => api.drain(opened, 0)))
      throw new StartError(`cannot listen on ${address.uri}: ${messageOf(error)}`)
    }
    servers.push(server)
  }
  return {
    listening,
    async drain(limitMs) {
      await Promise.all(servers.map(server => api.drain(server, limitMs)))
    },
  }
}

/** What was named, and what was inherited without being named. */
export function addresses(config: Pick<Config, 'listen' | 'inheritedFds'>): ListenAddress[] {
  const named = new Set(config.listen.flatMap(one => (one.scheme === 'fd' ? [one.fd] : [])))
  const inherited = config.inheritedFds
    .filter(fd => !named.has(fd))
    .map(fd => ({ scheme: 'fd', uri: `fd:${fd}`, fd }) as const)
  return [...config.listen, ...inherited]
}

/** Refused connections are told at most this often. */
const REFUSED_LINE_MS = 1_000

/** A process in the guest may knock as often as it likes: one line a second is enough. */
function logRefused(log: Log): (cid: number) => void {
  let connections = 0
  let last = Number.NEGATIVE_INFINITY
  return cid => {
    connections += 1
    if (performance.now() - last < REFUSED_LINE_MS) return
    last = performance.now()
    const message = 'refused vsock connections that are not from the host'
    log.warn({ component: 'api', cid, connections }, message)
    connections = 0
  }
}
