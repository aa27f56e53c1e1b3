/**
 * Why guestd cannot be reached: a closed set of codes, each with a sentence that advises what to do. If guestd
 * itself refuses a request, the error is a GuestdError.
 */

/** The forms of an address, for messages. */
export const ADDRESS_FORMS = 'unix:PATH, firecracker:UDS_PATH:PORT, vsock:CID:PORT or tcp:HOST:PORT'

/** @param at the address as text */
type Advice = (at: string, detail: string) => string

const because = (detail: string) => (detail === '' ? '' : ` (${detail})`)

/** The port of guestd in its own images. Messages use it as an example. */
export const IMAGE_PORT = 1023

const adviceTable = {
  bad_address: (at, detail) => `'${at}' is not an address${because(detail)}: give ${ADDRESS_FORMS}`,
  no_socket: (at, detail) =>
    `there is no socket at ${at}${because(detail)}: start guestd (or the VM) that creates it, or correct the path`,
  refused: (at, detail) =>
    `nothing listens at ${at}${because(detail)}: guestd has ended or has not started yet; start it, or correct the address`,
  no_guest_listener: (at, detail) =>
    `the VM runs, but nothing in the guest listens at ${at}${because(detail)}: wait until guestd has started, or correct the port (guestd's images use ${IMAGE_PORT})`,
  forbidden: (at, detail) =>
    `no permission to open ${at}${because(detail)}: run as the user who owns the socket, or as root`,
  timeout: (at, detail) =>
    `no answer in time at ${at}${because(detail)}: check that the guest runs and is not paused`,
  wrong_socket: (at, detail) =>
    `what answers at ${at} is not guestd${because(detail)}: correct the address; the Unix socket of a VM's vsock device is firecracker:PATH:${IMAGE_PORT}, guestd's own is unix:PATH`,
  version_mismatch: (at, detail) =>
    `the guestd at ${at} speaks another version of the API${because(detail)}: use the guestctl or the guestd/client of guestd's own version`,
  unsupported: (at, detail) =>
    `this machine cannot connect to ${at}${because(detail)}: vsock: needs the kernel module vsock and the addon guestd_native.node beside the program (the npm package has it for Linux x64; elsewhere build it with 'make build'); or use the VM's Unix socket with firecracker:UDS_PATH:PORT`,
  not_ready: (at, detail) =>
    `the guestd at ${at} answers, but is not ready${because(detail)}: wait, or run guestctl status to see why`,
  lost: (at, detail) =>
    `the connection to ${at} was lost${because(detail)}: check that the guest still runs, then try again`,
} as const satisfies Record<string, Advice>

export type ConnectErrorCode = keyof typeof adviceTable

/** Every code, for tests. */
export const connectErrorCodes = Object.keys(adviceTable) as readonly ConnectErrorCode[]

/** guestd cannot be reached, or the address leads to something else. `code` says why, `message` what to do. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError'
  readonly code: ConnectErrorCode
  /** The address as it was given. */
  readonly address: string

  /**
   * The same call can succeed later. After `lost` and `timeout` guestd may have carried out the request, so
   * repeat it only if a second run does no harm, or if it has an id.
   */
  get retryable(): boolean {
    return retryableCodes.has(this.code)
  }

  /** @param options.detail the observation, in parentheses in the message */
  constructor(
    code: ConnectErrorCode,
    address: string,
    options: { detail?: string; cause?: unknown } = {},
  ) {
    super(
      adviceTable[code](address, options.detail ?? ''),
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.code = code
    this.address = address
  }
}

/** Errors that a guest causes while it boots or returns. */
const retryableCodes: ReadonlySet<ConnectErrorCode> = new Set([
  'lost',
  'refused',
  'no_socket',
  'no_guest_listener',
  'timeout',
  'not_ready',
])

/** Errors of connect(2), by name. Every other one is `lost`. */
const codesOfConnect: Readonly<Record<string, ConnectErrorCode>> = {
  ENOENT: 'no_socket',
  ENOTDIR: 'no_socket',
  ECONNREFUSED: 'refused',
  EACCES: 'forbidden',
  EPERM: 'forbidden',
  ETIMEDOUT: 'timeout',
  // connect(2) to a Unix socket whose backlog is full.
  EAGAIN: 'timeout',
  EHOSTUNREACH: 'timeout',
  ENETUNREACH: 'timeout',
  ENOTFOUND: 'bad_address',
  EAI_AGAIN: 'bad_address',
  EPROTOTYPE: 'wrong_socket',
  EAFNOSUPPORT: 'unsupported',
  ENODEV: 'unsupported',
}

/** The error of an attempt to connect. */
export function fromConnect(thrown: unknown, address: string): ConnectError {
  if (thrown instanceof ConnectError) return thrown
  const name = errorName(thrown)
  return new ConnectError(codesOfConnect[name] ?? 'lost', address, {
    detail: name === '' ? String(thrown) : name,
    cause: thrown,
  })
}

/** The error of an open connection: bytes that are not HTTP, or a loss. */
export function fromConnection(thrown: unknown, address: string): ConnectError {
  if (thrown instanceof ConnectError) return thrown
  const name = errorName(thrown)
  const notHttp = name.startsWith('HPE_')
  return new ConnectError(notHttp ? 'wrong_socket' : 'lost', address, {
    detail: notHttp ? `its answer is not HTTP: ${name}` : name,
    cause: thrown,
  })
}

/** The connection ended during a request, so its outcome is unknown. */
export function isLoss(error: unknown): error is ConnectError {
  return error instanceof ConnectError && error.code === 'lost'
}

/** `ECONNRESET` and the like, or an empty string. */
function errorName(thrown: unknown): string {
  if (!(thrown instanceof Error) || !('code' in thrown)) return ''
  return typeof thrown.code === 'string' ? thrown.code : ''
}
