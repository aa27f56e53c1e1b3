/**
 * Why guestd could not be talked to: a closed set of codes, each with a sentence that says what to
 * do. A refusal by guestd itself is a GuestdError.
 */

/** What an address may look like. */
export const ADDRESS_FORMS = 'unix:PATH, firecracker:UDS_PATH:PORT, vsock:CID:PORT or tcp:HOST:PORT'

/** `at` is the address as written. */
type Advice = (at: string, detail: string) => string

const because = (detail: string) => (detail === '' ? '' : ` (${detail})`)

/** Port of guestd in an image; a sentence that names it is only an example. */
export const IMAGE_PORT = 1023

const adviceTable = {
  bad_address: (at, detail) => `'${at}' is not an address${because(detail)}: give ${ADDRESS_FORMS}`,
  no_socket: (at, detail) =>
    `there is no socket at ${at}${because(detail)}: start guestd (or the VM) that makes it, or correct the path`,
  refused: (at, detail) =>
    `nobody listens at ${at}${because(detail)}: guestd has ended or has not started yet; start it, or correct the address`,
  no_guest_listener: (at, detail) =>
    `the VM is there, but nobody in the guest listens at ${at}${because(detail)}: wait until guestd has started, or correct the port (guestd's images use ${IMAGE_PORT})`,
  forbidden: (at, detail) =>
    `no permission to open ${at}${because(detail)}: run as the user who owns the socket, or as root`,
  timeout: (at, detail) =>
    `nobody answered in time at ${at}${because(detail)}: check that the guest runs and is not paused`,
  wrong_socket: (at, detail) =>
    `what answers at ${at} is not guestd${because(detail)}: correct the address; the Unix socket of a VM's vsock device is firecracker:PATH:${IMAGE_PORT}, guestd's own is unix:PATH`,
  version_mismatch: (at, detail) =>
    `the guestd at ${at} speaks another version of the API${because(detail)}: use the guestctl or the guestd/client of guestd's own version`,
  unsupported: (at, detail) =>
    `this machine cannot connect to ${at}${because(detail)}: load the vsock module of the kernel, or reach the guest by its Unix socket with firecracker:UDS_PATH:PORT`,
  not_ready: (at, detail) =>
    `the guestd at ${at} answers, but is not ready${because(detail)}: wait, or run guestctl status to see why`,
  lost: (at, detail) =>
    `the connection to ${at} was lost${because(detail)}: check that the guest still runs, then try again`,
} as const satisfies Record<string, Advice>

export type ConnectErrorCode = keyof typeof adviceTable

/** Every code, for tests and for switches that want to be whole. */
export const connectErrorCodes = Object.keys(adviceTable) as readonly ConnectErrorCode[]

/** guestd could not be reached, or what was reached is not the guestd that this client speaks to. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError'
  readonly code: ConnectErrorCode
  /** The address as it was given. */
  readonly address: string

  /**
   * Another attempt can succeed without any change by the caller. After `lost` and `timeout` the request may
   * have been carried out: repeat only what may happen twice, or has an id.
   */
  get retryable(): boolean {
    return retryableCodes.has(this.code)
  }

  /** @param options.detail what was seen, put in parentheses in the sentence */
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

/** What a guest that starts, or comes back, shows meanwhile. */
const retryableCodes: ReadonlySet<ConnectErrorCode> = new Set([
  'lost',
  'refused',
  'no_socket',
  'no_guest_listener',
  'timeout',
  'not_ready',
])

/** Errors of connect(2), by name. What is not here is `lost`. */
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

/** The error of a connection that stood: bytes that are not HTTP, or else a loss. */
export function fromConnection(thrown: unknown, address: string): ConnectError {
  if (thrown instanceof ConnectError) return thrown
  const name = errorName(thrown)
  const notHttp = name.startsWith('HPE_')
  return new ConnectError(notHttp ? 'wrong_socket' : 'lost', address, {
    detail: notHttp ? `its answer is not HTTP: ${name}` : name,
    cause: thrown,
  })
}

/** `ECONNRESET` and the like, or an empty string. */
function errorName(thrown: unknown): string {
  if (!(thrown instanceof Error) || !('code' in thrown)) return ''
  return typeof thrown.code === 'string' ? thrown.code : ''
}
