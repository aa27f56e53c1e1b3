/**
 * The closed set of failures that guestd reports to a client, in one table: code → HTTP status,
 * title, whether a retry can succeed, and the exit code of guestctl.
 *
 * The wire form is `application/problem+json` (RFC 9457).
 */

/** guestctl's exit code for guestd's or guestctl's own errors, as docker run has it. */
const OWN_ERROR = 125

interface ErrorRow {
  /** HTTP status code. */
  readonly status: number
  /** RFC 9457 `title`: the same for every occurrence of the code. */
  readonly title: string
  /** The exit code of guestctl when a request ends with this code. */
  readonly exitCode: number
  /** The request did nothing, and the same request can succeed later without any change to it. */
  readonly retryable: boolean
}

const row = (status: number, title: string, exitCode = OWN_ERROR): ErrorRow => ({
  status,
  title,
  exitCode,
  retryable: false,
})

/** A failure that passes by itself. */
const retryableRow = (status: number, title: string): ErrorRow => ({
  ...row(status, title),
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
  state_unavailable: retryableRow(503, 'guestd cannot write down what it starts'),
  workspace_unavailable: retryableRow(503, 'The workspace is not there'),
  workspace_full: row(507, 'The workspace is full'),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/** Why guestd cannot start, in words for whoever started it: nothing is wrong with guestd itself. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** The wire form: RFC 9457 members, guestd's `code` and `retryable`, and the `field` at fault if there is one. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  /** From {@link errorTable}. */
  readonly retryable: boolean
  readonly field?: string
}

/** Longest `detail` and `field` of a problem, in UTF-16 units: a value from outside can be in them. */
const MAX_DETAIL = 2_048
const MAX_FIELD = 256

/** The one error class of guestd: a code from the table, a sentence, and the field to blame. */
export class GuestdError extends Error {
  override readonly name = 'GuestdError'
  readonly code: ErrorCode
  readonly field: string | undefined

  constructor(code: ErrorCode, detail: string, options: { field?: string; cause?: unknown } = {}) {
    super(cut(detail, MAX_DETAIL), options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.field = options.field === undefined ? undefined : cut(options.field, MAX_FIELD)
  }

  get status(): number {
    return errorTable[this.code].status
  }

  get exitCode(): number {
    return errorTable[this.code].exitCode
  }

  /** Whether the same request can succeed later. */
  get retryable(): boolean {
    return errorTable[this.code].retryable
  }

  toProblem(): Problem {
    const { status, title, retryable } = errorTable[this.code]
    return {
      type: `urn:guestd:error:${this.code}`,
      title,
      status,
      detail: this.message,
      code: this.code,
      retryable,
      ...(this.field === undefined ? {} : { field: this.field }),
    }
  }
}

/** Whatever was thrown, as a GuestdError: the unknown becomes `internal` with its cause kept. */
export function asGuestdError(thrown: unknown): GuestdError {
  if (thrown instanceof GuestdError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new GuestdError('internal', message, { cause: thrown })
}

/** Whether a string received from a peer is one of the table's codes. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorTable, code)
}

/** The beginning of a text that is too long, without half of a surrogate pair at its end. */
function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, '')}…`
}
