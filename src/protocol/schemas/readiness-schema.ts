/** Whether guestd accepts commands. */

import type { Static } from 'typebox'
import * as Type from 'typebox'

/** The reasons not to be ready, and their meaning. */
export const reasonTable = {
  starting: 'guestd is starting, or the workspace is being mounted',
  waiting_for_session: 'the host has not set the session yet, and `requireSession` is set',
  workspace_unavailable: 'the workspace cannot be used; the message says why',
  workspace_failed:
    'the file system of the workspace has errors, refuses writes, or was resized; commands still run',
  session_mismatch: "the workspace belongs to a session other than the host's",
  user_unknown: 'the user of commands does not exist',
  disk_full: 'the root file system, or that of `runDir`, has less than 1 MiB or no inode free',
  memory: 'files in memory and shared memory leave commands less than an eighth of their memory',
  state_unavailable: '`runDir` was deleted or cannot be written; new commands can be refused',
  stopping: 'the session is being stopped',
  stopped: 'the session has been stopped',
  misconfigured: 'a setting is invalid; there is one reason for each',
} as const satisfies Record<string, string>

export type ReasonCode = keyof typeof reasonTable

const codes = Object.keys(reasonTable) as ReasonCode[]

export const ReadinessReason = Type.Object(
  {
    code: Type.Enum(codes, {
      description: `Stable name: ${codes.map(code => `${code}: ${reasonTable[code]}`).join('; ')}`,
    }),
    message: Type.String({ description: 'The reason as a sentence' }),
  },
  { description: 'A reason not to be ready' },
)
export type ReadinessReason = Static<typeof ReadinessReason>

export const Readiness = Type.Object(
  {
    ready: Type.Boolean({
      description: 'guestd accepts commands, and what they need is available',
    }),
    reasons: Type.Array(ReadinessReason, {
      description: 'The reasons not to be ready; empty if ready',
    }),
  },
  { description: 'Whether guestd accepts commands' },
)
export type Readiness = Static<typeof Readiness>
