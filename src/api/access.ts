/** Access control: the token, and over TCP the Host and Origin headers. */

import { createHash, timingSafeEqual } from 'node:crypto'
import type { Server } from 'node:http'
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Config } from '../config/types.ts'
import { GuestdError } from '../errors.ts'

export interface Access {
  /** Marks the connections of a server that listens on TCP: web browsers can reach it. */
  markTcp(server: Server): void
  /** Checks the header only. `null`: the request passes. */
  refusal(request: FastifyRequest): GuestdError | null
}

export function createAccess({ token, tcpHosts }: Pick<Config, 'token' | 'tcpHosts'>): Access {
  const overTcp = new WeakSet<Duplex>()
  const wanted = token === null ? null : digest(token)
  return {
    markTcp(server) {
      server.prependListener('connection', (socket: Duplex) => overTcp.add(socket))
    },
    refusal(request) {
      const { headers } = request
      const refused = overTcp.has(request.raw.socket) ? browserRefusal(headers, tcpHosts) : null
      if (refused !== null) return refused
      if (wanted === null || request.routeOptions.config.needsNoToken) return null
      const given = /^Bearer +([^ ]+) *$/i.exec(headers.authorization ?? '')?.[1] ?? ''
      if (timingSafeEqual(digest(given), wanted)) return null
      const detail =
        headers.authorization === undefined
          ? 'the header "Authorization: Bearer TOKEN" is missing'
          : 'the Authorization header does not have the token of this guestd'
      return new GuestdError('unauthorized', detail)
    },
  }
}

/** All digests have the same length, so the time of the comparison does not depend on the token. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/**
 * A web page sends its origin in Origin. With DNS rebinding this server counts as the page's own origin: a GET then has
 * no Origin header, and Host has the host name of the page.
 */
function browserRefusal(
  { origin, host }: FastifyRequest['headers'],
  allowed: readonly string[],
): GuestdError | null {
  if (origin !== undefined) {
    const detail = 'a request with an Origin header comes from a web page'
    return new GuestdError('forbidden_origin', detail, { field: 'origin' })
  }
  // Every browser sends a Host header.
  if (host === undefined) return null
  const name = host.replace(/:\d*$/, '').toLowerCase()
  if (isLoopback(name) || allowed.includes(name)) return null
  const detail = `${host} is neither localhost, a loopback address, nor listed in tcpHosts`
  return new GuestdError('forbidden_host', detail, { field: 'host' })
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

function isLoopback(name: string): boolean {
  if (name === 'localhost') return true
  const address = name.replace(/^\[(.*)\]$/, '$1')
  if (isIPv4(name)) return loopback.check(name)
  return address !== name && isIPv6(address) && loopback.check(address, 'ipv6')
}
