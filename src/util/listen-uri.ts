/** The addresses that guestd listens on, and their notation in the settings. */
import { isIP, isIPv4 } from 'node:net'

export type ListenAddress =
  /** AF_VSOCK on every CID of the guest. */
  | { readonly scheme: 'vsock'; readonly uri: string; readonly port: number }
  /** A Unix stream socket at a path. */
  | { readonly scheme: 'unix'; readonly uri: string; readonly path: string }
  /** An inherited descriptor that listens already (systemd.socket(5)). */
  | { readonly scheme: 'fd'; readonly uri: string; readonly fd: number }
  /** TCP on a loopback address; port 0 takes any free port. */
  | { readonly scheme: 'tcp'; readonly uri: string; readonly host: string; readonly port: number }

/** For errors and help. */
export const LISTEN_FORMS = 'vsock:PORT, unix:PATH, fd:N or tcp:127.0.0.1:PORT'

/**
 * Parses `vsock:PORT`, `unix:PATH`, `fd:N`, `tcp:HOST:PORT` (an IPv6 host in brackets).
 *
 * TCP is for loopback addresses only: other machines must not reach guestd. Host names are refused, because they can
 * resolve to another address.
 *
 * @throws Error with the reason
 */
export function parseListenUri(uri: string): ListenAddress {
  const colon = uri.indexOf(':')
  const rest = uri.slice(colon + 1)
  switch (colon < 0 ? '' : uri.slice(0, colon)) {
    case 'vsock':
      return { scheme: 'vsock', uri, port: wholeNumber(rest, 0, MAX_VSOCK_PORT, 'a vsock port') }
    case 'unix':
      return { scheme: 'unix', uri, path: unixPath(rest) }
    case 'fd':
      return {
        scheme: 'fd',
        uri,
        fd: wholeNumber(rest, FIRST_INHERITED_FD, MAX_FD, 'a descriptor'),
      }
    case 'tcp':
      return { scheme: 'tcp', uri, ...tcpAddress(rest) }
    default:
      throw new Error(`it is none of ${LISTEN_FORMS}`)
  }
}

/** One below VMADDR_PORT_ANY (vsock(7)). */
const MAX_VSOCK_PORT = 2 ** 32 - 2

/** SD_LISTEN_FDS_START of sd_listen_fds(3): 0, 1 and 2 are the standard streams. */
export const FIRST_INHERITED_FD = 3

/** The descriptor on the root of the workspace. */
export const WORKSPACE_FD_NAME = 'workspace'

/**
 * Names of descriptors that guestd stores with its service manager (sd_pid_notify_with_fds(3)): the manager passes them
 * with the sockets, and they are not sockets.
 */
export const STORED_FD_NAMES: readonly string[] = [WORKSPACE_FD_NAME]

/** The kernel's ceiling of fs.nr_open. */
const MAX_FD = 2 ** 30

const MAX_TCP_PORT = 65_535

/** sun_path of unix(7) is 108 bytes with its NUL. */
const MAX_UNIX_PATH_BYTES = 107

function unixPath(path: string): string {
  if (path === '') throw new Error('it has no path')
  if (path.includes('\0')) throw new Error('its path has a NUL byte in it')
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_UNIX_PATH_BYTES) {
    throw new Error(`its path has ${bytes} bytes; a socket's has at most ${MAX_UNIX_PATH_BYTES}`)
  }
  return path
}

function tcpAddress(rest: string): { host: string; port: number } {
  const colon = rest.lastIndexOf(':')
  if (colon < 0) throw new Error('it has no port')
  const written = rest.slice(0, colon)
  const host = written.startsWith('[') && written.endsWith(']') ? written.slice(1, -1) : written
  const isLoopback = isIPv4(host) ? host.startsWith('127.') : isIP(host) === 6 && host === '::1'
  if (!isLoopback) throw new Error('tcp is served on a loopback address only, such as 127.0.0.1')
  return { host, port: wholeNumber(rest.slice(colon + 1), 0, MAX_TCP_PORT, 'a port') }
}

function wholeNumber(text: string, min: number, max: number, what: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max))
    throw new Error(`${what} is a whole number from ${min} to ${max}`)
  return value
}
