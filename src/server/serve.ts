/** Serves the API on every address. */
import { createServer, type Server } from 'node:http'
import type { Api } from '../api/app.ts'
import type { Config, ListenAddress } from '../config/types.ts'
import { StartError } from '../errors.ts'
import type { Log } from '../log.ts'
import { findGroup } from '../sys/groups.ts'
import { socketFamily } from '../sys/vsock.ts'
import { messageOf } from '../util/message-of.ts'
import { type ConnectionSettings, createConnections } from './connections.ts'
import { openListener, type SocketFile } from './listeners.ts'

export interface Served {
  /** The addresses that are served. */
  readonly listening: readonly string[]
  /** Closes every listener; replies under way have `limitMs`. */
  drain(limitMs: number): Promise<void>
}

export interface ServerSettings
  extends ConnectionSettings,
    Pick<Config, 'token' | 'allowUnauthenticated' | 'unixMode' | 'unixGroup'> {}

/**
 * @throws StartError that names the address and the reason, once what was opened is closed; for a TCP
 * socket without a token and a group that does not exist it names the setting
 */
export async function serve(
  api: Api,
  addresses: readonly ListenAddress[],
  settings: ServerSettings,
  log: Log,
): Promise<Served> {
  await api.ready()
  const connections = createConnections(settings, api.handler)
  const servers: Server[] = []
  const listening: string[] = []
  const refused = logRefused(log)
  const file = socketFile(settings)
  for (const address of addresses) {
    const server = createServer(connections.serverOptions, connections.handler)
    try {
      const isTcp = isTcpSocket(address)
      if (isTcp) api.markTcp(server)
      connections.guard(server, { isTcp })
      if (isOpenToAll(address, isTcp, file)) checkOpen(address, isTcp, settings, log)
      listening.push(await openListener(server, address, refused, file))
    } catch (error) {
      await Promise.all([...servers, server].map(opened => connections.drain(opened, 0)))
      if (error instanceof StartError) throw error
      throw new StartError(`cannot listen on ${address.uri}: ${messageOf(error)}`)
    }
    servers.push(server)
  }
  return {
    listening,
    async drain(limitMs) {
      await Promise.all(servers.map(server => connections.drain(server, limitMs)))
    },
  }
}

function socketFile({ unixMode, unixGroup }: ServerSettings): SocketFile {
  const gid = unixGroup === null ? null : findGroup(unixGroup)
  if (unixGroup !== null && gid === null) {
    throw new StartError(`unixGroup: there is no group ${unixGroup} in /etc/group`)
  }
  return { mode: Number.parseInt(unixMode, 8), gid }
}

function isTcpSocket(address: ListenAddress): boolean {
  return (
    address.scheme === 'tcp' || (address.scheme === 'fd' && socketFamily(address.fd) === 'inet')
  )
}

/** Whether every process of the machine can connect. */
function isOpenToAll(address: ListenAddress, isTcp: boolean, file: SocketFile): boolean {
  return isTcp || (address.scheme === 'unix' && (file.mode & WRITABLE_BY_OTHERS) !== 0)
}

/** connect(2) to a Unix socket takes the permission to write. */
const WRITABLE_BY_OTHERS = 0o002

/** An inherited TCP socket is known here at the earliest: the settings name a descriptor only. */
function checkOpen(
  { uri }: ListenAddress,
  isTcp: boolean,
  { token, allowUnauthenticated }: ServerSettings,
  log: Log,
): void {
  if (token !== null) return
  if (isTcp && !allowUnauthenticated) {
    throw new StartError(
      `authToken: ${uri} is a TCP socket, which takes a token. Set authToken or authTokenFile, or allowUnauthenticated: true`,
    )
  }
  const message = 'every process of this machine can run commands here: there is no token'
  log.warn({ component: 'api', listener: uri }, message)
}

/** The configured addresses, and the inherited sockets that the configuration does not name. */
export function addresses(config: Pick<Config, 'listen' | 'inheritedFds'>): ListenAddress[] {
  const named = new Set(config.listen.flatMap(one => (one.scheme === 'fd' ? [one.fd] : [])))
  const inherited = config.inheritedFds
    .filter(fd => !named.has(fd))
    .map(fd => ({ scheme: 'fd', uri: `fd:${fd}`, fd }) as const)
  return [...config.listen, ...inherited]
}

/** Shortest interval of log lines about refused connections, in milliseconds. */
const REFUSED_LINE_MS = 1_000

/** A process in the guest can connect as often as it likes, so there is at most one line a second. */
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
