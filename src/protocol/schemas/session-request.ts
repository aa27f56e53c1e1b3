/** The request that sets which session this is, and renews it. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import {
  commandId,
  MAX_ARG_BYTES,
  MAX_TIMEOUT_MS,
  MAX_VARIABLES,
  NO_NUL_PATTERN,
  TIME_PATTERN,
  VARIABLE_NAME_PATTERN,
} from './parts.ts'
import { CommandLimits } from './request-schemas.ts'

const limitMs = (description: string) =>
  Type.Integer({ minimum: 0, maximum: MAX_TIMEOUT_MS, description })

export const SessionRequest = Type.Object(
  {
    id: commandId(
      'Id of the session: letters, digits, ".", "_" and "-". Fixed until the machine restarts',
    ),
    runtimeVersion: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        description:
          'Version of the software in the guest, kept in the mark of the volume. Fixed until the machine restarts. Default: none',
      }),
    ),
    hostTime: Type.Optional(
      Type.String({
        maxLength: 32,
        pattern: TIME_PATTERN,
        description:
          "The time by the host's clock; ISO 8601, UTC. Retention uses it, and an expired volume is started empty only with it. It is not part of the session: a renewal without it keeps the last one. Default: the clock of the machine, which starts no volume empty",
      }),
    ),
    env: Type.Optional(
      Type.Unsafe<Record<string, string>>({
        type: 'object',
        maxProperties: MAX_VARIABLES,
        propertyNames: { minLength: 1, maxLength: MAX_ARG_BYTES, pattern: VARIABLE_NAME_PATTERN },
        additionalProperties: {
          type: 'string',
          maxLength: MAX_ARG_BYTES,
          pattern: NO_NUL_PATTERN,
        },
        description: `Environment of all commands: overrides the setting \`env\`, and a run request's own overrides it. NAME=value has at most ${MAX_ARG_BYTES} bytes. Default: none`,
      }),
    ),
    limits: Type.Optional(CommandLimits),
    idleMs: Type.Optional(
      limitMs(
        'Stop the session after this time without work, in milliseconds; 0: never. Default: the setting',
      ),
    ),
    lifetimeMs: Type.Optional(
      limitMs(
        'Stop the session this long after the first start of guestd in this boot, in milliseconds; 0: never. Default: the setting',
      ),
    ),
  },
  {
    additionalProperties: false,
    description:
      'Which session this is. A second request with the same id and runtimeVersion replaces all other fields',
  },
)
export type SessionRequest = Static<typeof SessionRequest>
