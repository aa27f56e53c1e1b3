/** Checks that a reply comes from guestd, and reads small replies as a whole. */

import type { IncomingMessage } from 'node:http'
import type { GuestdError } from '../errors.ts'
import { type Address, formatAddress } from './address.ts'
import { ConnectError, IMAGE_PORT } from './connect-error.ts'
import { withIdleTimeout } from './idle-timeout.ts'
import { toGuestdError } from './problem.ts'

/** The version of the API in the paths of this client: the protocol's `API_VERSION`. */
export const CLIENT_API_VERSION = '1'

/** Largest reply that is read as a whole, in bytes: a list of 1,000 commands with 1,024 characters of text each. */
const MAX_REPLY_BYTES = 16 * 1024 * 1024

/**
 * Every reply of guestd has its version in a header.
 *
 * @throws ConnectError `wrong_socket`; the reply is closed
 */
export function checkIsGuestd(reply: IncomingMessage, at: string): void {
  if (reply.headers['guestd-version'] !== undefined) return
  reply.destroy()
  throw new ConnectError('wrong_socket', at, {
    detail: `HTTP ${reply.statusCode} without a Guestd-Version`,
  })
}

/** The error of a reply with status 400 or more. An unknown route means another version of the API. */
export async function toError(
  reply: IncomingMessage,
  at: string,
  limitMs: number,
): Promise<GuestdError | ConnectError> {
  const error = toGuestdError(await readWhole(reply, at, limitMs))
  if (error !== null && error.code !== 'not_found') return error
  const version = reply.headers['guestd-version']
  return new ConnectError('version_mismatch', at, {
    detail: `guestd ${version} answered HTTP ${reply.statusCode} where API version ${CLIENT_API_VERSION} has a route`,
    cause: error,
  })
}

/**
 * @param limitMs longest time without a byte, in milliseconds; 0: no limit
 * @throws ConnectError `lost`; `wrong_socket` for more than 16 MiB
 */
export async function readWhole(
  reply: IncomingMessage,
  at: string,
  limitMs: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of withIdleTimeout(reply, { at, signal: undefined, limitMs })) {
    bytes += chunk.length
    if (bytes > MAX_REPLY_BYTES) {
      throw new ConnectError('wrong_socket', at, { detail: `a reply over ${MAX_REPLY_BYTES} B` })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * The error of a connection that was lost before guestd has ever answered. Over vsock, a process in the guest
 * that connects to the guest itself gets this. The Unix socket of a VM's vsock device takes the first line of
 * HTTP for a bad `CONNECT`, and closes.
 */
export function closedUnanswered(cause: ConnectError, address: Address): ConnectError {
  const hint = unansweredHint(address)
  if (hint === null) return cause
  const detail = `closed without an answer: ${hint}`
  return new ConnectError('lost', cause.address, { detail, cause })
}

function unansweredHint(address: Address): string | null {
  switch (address.kind) {
    case 'vsock':
      return 'over vsock guestd serves only the host'
    case 'unix': {
      const { path } = address
      const vm = formatAddress({ kind: 'firecracker', path, port: IMAGE_PORT })
      return `if it is the Unix socket of a VM's vsock device, the address is ${vm}`
    }
    default:
      return null
  }
}
