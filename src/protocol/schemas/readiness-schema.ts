/** Whether commands are taken, and why not. */

import type { Static } from 'typebox'
import * as Type from 'typebox'

/** The closed set of reasons, with what each means. */
export const reasonTable = {
  starting: 'guestd starts, or its workspace is being mounted',
  waiting_for_session: 'with `requireSession`: the host has not set the session yet',
  workspace_unavailable: 'the workspace cannot be used; the message says why',
  workspace_failed:
    'the file system of the workspace has errors, takes no writes, or was resized; commands run all the same',
  session_mismatch: 'the workspace belongs to another session than the host has set',
  user_unknown: 'the user of commands does not exist',
  disk_full: 'less than 1 MiB or no inode is free on the root file system, or for `runDir`',
  memory:
    'files in memory and shared memory, also of running processes, leave commands less than an eighth of what they may take',
  state_unavailable: '`runDir` was deleted, or cannot be written: new commands may be refused',
  stopping: 'the session is being stopped',
  stopped: 'the session has been stopped',
  misconfigured: 'a setting cannot be used; one reason for each',
} as const satisfies Record<string, string>

export type ReasonCode = keyof typeof reasonTable

const codes = Object.keys(reasonTable) as ReasonCode[]

export const ReadinessReason = Type.Object(
  {
    code: Type.Enum(codes, {
      description: `Stable name: ${codes.map(code => `${code}: ${reasonTable[code]}`).join('; ')}`,
    }),
    message: Type.String({ description: 'In words' }),
  },
  { description: 'Why commands are not taken' },
)
export type ReadinessReason = Static<typeof ReadinessReason>

export const Readiness = Type.Object(
  {
    ready: Type.Boolean({ description: 'Commands are taken and find what they need' }),
    reasons: Type.Array(ReadinessReason, { description: 'Why not; empty when it is ready' }),
  },
  { description: 'Whether commands are taken and find what they need' },
)
export type Readiness = Static<typeof Readiness>
