/**
 * The closed set of failures that guestd reports to a client, in one table. On the wire a failure is
 * `application/problem+json` (RFC 9457), see `protocol/problem.ts`. guestctl exits with 125 for each of them.
 */

interface ErrorRow {
  /** HTTP status code. */
  readonly status: number
  /** RFC 9457 `title`: the same for every occurrence of the code. */
  readonly title: string
  /** The request had no effect, and the same request can succeed later. */
  readonly retryable: boolean
}

const row = (status: number, title: string): ErrorRow => ({ status, title, retryable: false })

/** A failure that passes without any change to the request. */
const retryableRow = (status: number, title: string): ErrorRow => ({
  status,
  title,
  retryable: true,
})

export const errorTable = {
  invalid_request: row(400, 'The request is not valid'),
  invalid_json: row(400, 'The body is not valid JSON'),
  unauthorized: row(401, 'The request has no valid token'),
  forbidden_host: row(403, 'The Host of the request is not one of this server'),
  forbidden_origin: row(403, 'Web pages may not use this server'),
  not_found: row(404, 'There is no such route'),
  command_not_found: row(404, 'There is no command with this id'),
  method_not_allowed: row(405, 'The route does not have this method'),
  not_acceptable: row(406, 'None of the accepted media types can be served'),
  request_timeout: retryableRow(408, 'The request did not arrive in time'),
  id_conflict: row(409, 'The id belongs to a command with another body'),
  session_set: row(409, 'The session is set, and this field of it is fixed'),
  session_mismatch: row(409, 'The volume belongs to another session'),
  signal_not_allowed: row(403, 'guestd may not send signals to the process'),
  busy: retryableRow(409, 'Commands and the removal of temporary files exclude each other'),
  command_ended: row(409, 'The command has ended'),
  stdin_closed: row(409, 'No process reads the standard input of the command'),
  stdin_taken: row(409, 'Another writer took over the standard input of the command'),
  too_large: row(413, 'The request is larger than the limit'),
  unsupported_media_type: row(415, 'The media type of the body is not supported'),
  cursor_out_of_range: row(416, 'The cursor is past the end of the output'),
  offset_out_of_range: row(416, 'The offset is past the bytes accepted so far'),
  cwd_not_found: row(422, 'The working directory does not exist'),
  cwd_not_directory: row(422, 'The working directory is not a directory'),
  user_unknown: row(422, 'There is no such user'),
  user_not_allowed: row(422, 'Commands may not run as this user'),
  limit_unavailable: row(422, 'This machine cannot enforce the limit'),
  too_many_commands: retryableRow(429, 'Too many commands run at once'),
  headers_too_large: row(431, 'The request header fields are larger than the limit'),
  internal: row(500, 'guestd failed'),
  overloaded: retryableRow(503, 'guestd holds too many unfinished requests'),
  starting: retryableRow(503, 'guestd is starting'),
  stopping: row(503, 'guestd is stopping'),
  stopped: row(503, 'guestd has stopped'),
  misconfigured: row(503, 'The settings of guestd cannot be used'),
  state_unavailable: retryableRow(503, 'guestd cannot record what it starts'),
  workspace_unavailable: retryableRow(503, 'The workspace is not available'),
  workspace_full: row(507, 'The workspace is full'),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/** Why guestd cannot start, for the operator: the settings or the machine are wrong, guestd itself is not. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** Longest `detail` and `field`, in UTF-16 units: both can contain text of a request. */
const MAX_DETAIL = 2_048
const MAX_FIELD = 256

/** A failure that a client gets to see: a code of the table, a sentence, and the field at fault. */
export class GuestdError extends Error {
  override readonly name = 'GuestdError'
  readonly code: ErrorCode
  /** The field of the request at fault, such as `limits.pids`. */
  readonly field: string | undefined

  /** A `detail` longer than 2,048 UTF-16 units and a `field` longer than 256 are cut. */
  constructor(code: ErrorCode, detail: string, options: { field?: string; cause?: unknown } = {}) {
    super(cut(detail, MAX_DETAIL), options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.field = options.field === undefined ? undefined : cut(options.field, MAX_FIELD)
  }

  /** HTTP status code. */
  get status(): number {
    return errorTable[this.code].status
  }

  /** The request had no effect, and the same request can succeed later. */
  get retryable(): boolean {
    return errorTable[this.code].retryable
  }
}

/** Returns a GuestdError as it is. Any other thrown value becomes `internal`, with the value as its `cause`. */
export function asGuestdError(thrown: unknown): GuestdError {
  if (thrown instanceof GuestdError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new GuestdError('internal', message, { cause: thrown })
}

/** Whether a value from a peer is a code of the table. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorTable, code)
}

/** The first `max` units of a text, without half of a surrogate pair at the end. */
function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, '')}…`
}
