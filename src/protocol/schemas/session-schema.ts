/** What guestd answers about the session. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { count, nullable, nullableCount } from './parts.ts'
import { Receipt } from './receipt-schema.ts'
import { Reset, WorkspaceInfo } from './workspace-schema.ts'

/** The version of the API that every path's prefix names. */
export const API_VERSION = '1'

export const SessionInfo = Type.Object(
  {
    id: nullable(Type.String(), 'Id of the session; null until the host hands it over'),
    generation: nullableCount('How many times the workspace has been started; null: unknown'),
    state: Type.Enum(['starting', 'ready', 'not_ready', 'stopping', 'stopped', 'misconfigured'], {
      description:
        'As /readyz: "ready" exactly where that is 200. "starting": only its start, or the host that has not set the session, keeps it; "not_ready": another reason does',
    }),
    reason: nullable(
      Type.String(),
      'Why it is not ready any more: of a stop "request", "signal", "idle" or "lifetime"; of settings that cannot be used, what is wrong; else null',
    ),
    resumed: Type.Boolean({
      description: 'The workspace has been used by an earlier boot, and what was left is there',
    }),
    recovered: Type.Boolean({
      description: 'The workspace had not been left clean, and has been mended',
    }),
    recovery: Type.Array(Type.String(), { description: 'What was done to mend it' }),
    reset: nullable(Reset, 'Why the workspace was started empty; null: it was not'),
    expired: Type.Boolean({
      description: 'When this began, the workspace had been unused for retentionMs',
    }),
    expiresAt: nullable(
      Type.String({ format: 'date-time' }),
      'When the workspace expires if it stays unused, by the last activity in its mark; null: never, or unknown',
    ),
    workspace: WorkspaceInfo,
    cgroup: Type.Object({
      mode: Type.Enum(['cgroup2', 'group'], {
        description: 'How commands are contained: a cgroup each, or only a process group',
      }),
      path: nullable(Type.String(), 'The cgroup that holds those of the commands, or null'),
      limits: Type.Array(Type.Enum(['memory', 'pids', 'cpu']), {
        description: 'The limits that can be enforced here',
      }),
    }),
    memory: nullable(
      Type.Object({
        limitBytes: count("What all commands may take, in bytes; root's are beside them"),
        usedBytes: count('What they have of it, in bytes'),
        leftBytes: count(
          'Of that, files in memory and shared memory, in bytes: it stays when a process ends',
        ),
        rootFilesBytes: nullableCount(
          'What the files of the root file system take of memory, in bytes; null: they are on a disk',
        ),
      }),
      'Memory of all commands; null where no cgroup limits it',
    ),
    limits: Type.Object(
      {
        maxCommands: count('Commands that may run at once'),
        memoryBytes: nullableCount('Memory, in bytes; null: none'),
        pids: nullableCount('Processes and threads; null: none'),
        cpus: nullable(Type.Number({ minimum: 0 }), 'Processors; null: none'),
        nofile: nullableCount('Open files of each process; null: none'),
      },
      {
        description:
          'Commands at once, and the limits of a command that does not ask for its own: of the session, over the configured ones',
      },
    ),
    commands: Type.Object({
      running: count('Commands that run'),
      ended: count('Ended commands that can still be read'),
    }),
    idleMs: count(
      'The session is stopped after so long without any work, in milliseconds; 0: never',
    ),
    lifetimeMs: count(
      'The session is stopped so long after the first start of guestd in this boot, in milliseconds; 0: never',
    ),
    idleSince: nullable(
      Type.String({ format: 'date-time' }),
      'When the last work ended, or guestd started; null while there is work',
    ),
    endsAt: nullable(
      Type.String({ format: 'date-time' }),
      'When the first of both limits is reached if nothing is done until then; null: none is',
    ),
    lastStop: nullable(
      Receipt,
      'How the workspace was left by the stop, or, before it, by the session before; or null',
    ),
    bootId: Type.String({ description: "The kernel's id of this boot" }),
    startedAt: Type.String({
      format: 'date-time',
      description: 'When guestd started; ISO 8601, UTC',
    }),
    version: Type.String({ description: 'Version of guestd' }),
    apiVersion: Type.String({ description: `Version of the API: "${API_VERSION}"` }),
  },
  { description: 'The session' },
)
export type SessionInfo = Static<typeof SessionInfo>
