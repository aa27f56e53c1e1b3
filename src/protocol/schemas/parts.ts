/** Parts that several schemas share, and their limits. */

import type { TNull, TProperties, TSchema, TUnion } from 'typebox'
import * as Type from 'typebox'

/** Longest script, in bytes of UTF-8. */
export const MAX_COMMAND_BYTES = 1024 * 1024

/** Longest string of argv or env (`NAME=value`), in bytes: MAX_ARG_STRLEN of execve(2) without the NUL. */
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

/** Longest path, in bytes: PATH_MAX of limits.h without the NUL. */
export const MAX_PATH_BYTES = 4_095

/** Longest name of a user, in bytes. useradd allows 32; directories such as LDAP have longer names. */
export const MAX_USER_BYTES = 64

/** Default of `outputLimitBytes`: last bytes of each stream in an `application/json` reply. */
export const SUMMARY_STREAM_BYTES = 1024 * 1024

/** Maximum of `outputLimitBytes`. The output is held in memory. */
export const MAX_SUMMARY_STREAM_BYTES = 4 * 1024 * 1024

/** Longest `commandLine`, in characters. */
export const COMMAND_LINE_CHARACTERS = 1024

/** Longest time limit, in milliseconds (24.8 days): the maximum of a Node timer. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** An id of a command or a session. */
export const ID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'

/** The name of a signal, such as `SIGTERM` or `SIGRTMIN+1`. */
export const SIGNAL_PATTERN = '^SIG[A-Z0-9]{1,12}([+-][0-9]{1,2})?$'

/** The name of an environment variable. */
export const VARIABLE_NAME_PATTERN = '^[^=\\u0000]+$'

/** What follows the year in a time of `Date.prototype.toISOString`; the fraction of the second can be missing. */
const AFTER_YEAR =
  '-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?Z$'

/** A time of any year from 0 to 9999. */
export const ANY_TIME_PATTERN = `^[0-9]{4}${AFTER_YEAR}`

/** A time of this century: what the clock of a host can have. */
export const TIME_PATTERN = `^20[0-9]{2}${AFTER_YEAR}`

/** Text without NUL, which can become a C string. */
export const NO_NUL_PATTERN = '^[^\\u0000]*$'

export const nullable = <T extends TSchema>(schema: T, description: string) =>
  Type.Union([schema, Type.Null()], { description })

/** A whole number from 0 that is exact in a double. */
export const count = (description: string) =>
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description })

export const nullableCount = (description: string) =>
  nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), description)

/** An id of a command or a session. */
export const commandId = (description: string) =>
  Type.String({ pattern: ID_PATTERN, maxLength: 128, description })

/** A time as `Date.prototype.toISOString` writes it. */
export const time = (description: string) =>
  Type.String({ format: 'date-time', description: `${description}; ISO 8601, UTC` })

export const nullableTime = (description: string) =>
  nullable(Type.String({ format: 'date-time' }), `${description}; ISO 8601, UTC`)

/** A schema that allows null beside what it allows itself. */
type Nullable<T extends TSchema> = TUnion<[T, TNull]>

/** The fields of a frame that comes later: `null` until then. */
export function nullWhileRunning<Fields extends TProperties>(
  fields: Fields,
): { [Name in keyof Fields]: Nullable<Fields[Name]> } {
  const entries = Object.entries(fields).map(([name, schema]) => {
    const { description, ...rule } = schema as TSchema & { readonly description: string }
    const alternatives = 'anyOf' in rule ? rule.anyOf : [rule, Type.Null()]
    return [name, { anyOf: alternatives, description: `${description}. Null while it runs` }]
  })
  return Object.fromEntries(entries)
}
