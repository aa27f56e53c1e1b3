/** The four kinds of address that `connect` takes. */

import { ConnectError } from './connect-error.ts'

/**
 * `firecracker` is the Unix socket of a VM's vsock device, in front of all ports: Firecracker, Cloud Hypervisor
 * and vhost-device-vsock have one.
 */
export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'firecracker'; readonly path: string; readonly port: number }
  | { readonly kind: 'vsock'; readonly cid: number; readonly port: number }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/** Highest port and CID of AF_VSOCK: 2^32 - 1 means "any" (vsock(7)). */
const MAX_VSOCK_NUMBER = 2 ** 32 - 2
const MAX_TCP_PORT = 65_535

/** Longest path of a Unix socket in bytes: `sun_path` less its NUL (unix(7)). */
const MAX_SUN_PATH_BYTES = 107

/**
 * Reads `unix:PATH`, `firecracker:UDS_PATH:PORT`, `vsock:CID:PORT` or `tcp:HOST:PORT` (an IPv6 host
 * in brackets). A path may contain colons.
 *
 * @throws ConnectError `bad_address`
 */
export function parseAddress(text: string): Address {
  const { kind, rest } = splitKind(text)
  if (kind === 'unix') return { kind, path: socketPath(text, rest) }
  const colon = rest.lastIndexOf(':')
  if (colon < 0) throw bad(text, `${kind} needs a port at its end`)
  const target = rest.slice(0, colon)
  const port = rest.slice(colon + 1)
  if (kind === 'firecracker') {
    return { kind, path: socketPath(text, target), port: number(text, port, MAX_VSOCK_NUMBER) }
  }
  if (kind === 'vsock') {
    return {
      kind,
      cid: number(text, target, MAX_VSOCK_NUMBER),
      port: number(text, port, MAX_VSOCK_NUMBER),
    }
  }
  if (target === '') throw bad(text, 'the host is missing')
  return { kind, host: target.replace(/^\[(.*)\]$/, '$1'), port: number(text, port, MAX_TCP_PORT) }
}

/** The text of an address, as {@link parseAddress} reads it. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case 'unix':
      return `unix:${address.path}`
    case 'firecracker':
      return `firecracker:${address.path}:${address.port}`
    case 'vsock':
      return `vsock:${address.cid}:${address.port}`
    case 'tcp':
      return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
  }
}

const kinds = ['unix', 'firecracker', 'vsock', 'tcp'] as const

function splitKind(text: string): { kind: Address['kind']; rest: string } {
  const colon = text.indexOf(':')
  const kind = kinds.find(name => name === text.slice(0, colon))
  if (colon < 0 || kind === undefined) throw bad(text, 'it has no known prefix')
  return { kind, rest: text.slice(colon + 1) }
}

function socketPath(text: string, path: string): string {
  if (path === '') throw bad(text, 'the path is missing')
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_SUN_PATH_BYTES) {
    throw bad(text, `the path has ${bytes} bytes, and a Unix socket allows ${MAX_SUN_PATH_BYTES}`)
  }
  return path
}

function number(text: string, digits: string, max: number): number {
  const value = /^\d{1,10}$/.test(digits) ? Number(digits) : Number.NaN
  if (Number.isNaN(value) || value > max) {
    throw bad(text, `'${digits}' is not a whole number from 0 to ${max}`)
  }
  return value
}

function bad(text: string, why: string): ConnectError {
  return new ConnectError('bad_address', text, { detail: why })
}
