/** Pieces that several schemas of the API share, and the numbers they state. */

import type { TSchema } from 'typebox'
import * as Type from 'typebox'
import { causes } from '../frames.ts'

/** Longest script, in bytes of UTF-8. A longer one is a file's job. */
export const MAX_COMMAND_BYTES = 1024 * 1024

/** Longest string of argv or env (`NAME=value`), in bytes: MAX_ARG_STRLEN of execve(2) less its NUL. */
export const MAX_ARG_BYTES = 128 * 1024 - 1

/** Most strings of argv. */
export const MAX_ARGV = 8_192

/** Most variables of one environment. */
export const MAX_VARIABLES = 4_096

/**
 * Most bytes of argv and env together, with the NUL and the pointer that execve(2) counts for each
 * string: a quarter of the default stack limit of 8 MiB.
 */
export const MAX_EXEC_BYTES = 2 * 1024 * 1024

/** Longest path, in bytes: PATH_MAX of limits.h less its NUL. */
export const MAX_PATH_BYTES = 4_095

/** Longest name of a user, in bytes: shadow allows 32, directories such as LDAP have longer ones. */
export const MAX_USER_BYTES = 64

/** Bytes of each stream that the `application/json` reply keeps by default: the last ones. */
export const SUMMARY_STREAM_BYTES = 1024 * 1024

/** Most that a request can ask for: the reply is made in memory, and JSON has up to six bytes for one. */
export const MAX_SUMMARY_STREAM_BYTES = 4 * 1024 * 1024

/** Characters of a command's text that listings show. */
export const COMMAND_LINE_CHARACTERS = 1024

/** Longest time limit, in milliseconds (24.8 days): the longest that a timer of Node takes. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** What a command's id looks like. */
export const ID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'

/** The name of a signal, such as `SIGTERM` or `SIGRTMIN+1`. */
export const SIGNAL_PATTERN = '^SIG[A-Z0-9]{1,12}([+-][0-9]{1,2})?$'

/** The name of an environment variable. */
export const VARIABLE_NAME_PATTERN = '^[^=\\u0000]+$'

/** A time as `Date.prototype.toISOString` has it, in this century; its fraction may be missing. */
export const TIME_PATTERN =
  '^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?Z$'

/** Text that the kernel can take as a C string. */
export const NO_NUL_PATTERN = '^[^\\u0000]*$'

export const nullable = <T extends TSchema>(schema: T, description: string) =>
  Type.Union([schema, Type.Null()], { description })

/** A whole number from 0 that a JSON number carries exactly. */
export const count = (description: string) =>
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description })

export const nullableCount = (description: string) =>
  nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), description)

/** The id of a command. */
export const commandId = (description: string) =>
  Type.String({ pattern: ID_PATTERN, maxLength: 128, description })

/** The fields of the `exit` frame, `null` while the command runs. */
export const exitFields = {
  exitCode: nullable(
    Type.Integer({ minimum: 0, maximum: 255 }),
    'Exit code; null while the command runs, where a signal ended it, and where nothing ran',
  ),
  signal: nullable(Type.String(), 'Name of the signal that ended it, such as "SIGKILL", or null'),
  cause: nullable(
    Type.Enum([...causes]),
    'Why the command ended: the first cause wins. Null while it runs',
  ),
  stage: nullable(
    Type.String(),
    'With cause "spawn": the step of the launch that failed, such as "chdir" or "exec"; else null',
  ),
  errno: nullable(
    Type.String(),
    'With cause "spawn": name of the error, such as "ENOENT"; else null',
  ),
  interpreter: nullable(
    Type.String(),
    'With stage "exec" and "ENOENT": the interpreter that the program names, where that is missing; else null',
  ),
  oomScope: nullable(
    Type.Enum(['command', 'machine']),
    'With cause "oom": whose memory ran out, that of the limit of the command or of the machine; else null',
  ),
  workspaceFull: nullable(
    Type.Enum(['bytes', 'inodes']),
    'What of the workspace was seen full while the command ran, or null',
  ),
  durationMs: nullableCount('Milliseconds from launch to exit; null while the command runs'),
  cpuMs: nullable(
    Type.Number({ minimum: 0 }),
    'User and system time in milliseconds of the process and the children it waited for; null: unknown',
  ),
  maxRssBytes: nullableCount(
    'Most memory used at once, in bytes: of its cgroup, page cache included, or else the largest resident set of one process; null: unknown',
  ),
}
