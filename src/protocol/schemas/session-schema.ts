/** What guestd reports about the session. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { count, nullable, nullableCount, nullableTime, time } from './parts.ts'
import { Receipt } from './receipt-schema.ts'
import { Reset, WorkspaceInfo } from './workspace-schema.ts'

/** The version of the API: the prefix of the paths is `/v1`. */
export const API_VERSION = '1'

export const SessionInfo = Type.Object(
  {
    id: nullable(Type.String(), 'Id of the session; null until the host sets it'),
    generation: nullableCount('How many times the workspace has been started; null: unknown'),
    state: Type.Enum(['starting', 'ready', 'not_ready', 'stopping', 'stopped', 'misconfigured'], {
      description:
        '"ready": /readyz replies 200. "starting": guestd is still starting, or waits for the host to set the session. "not_ready": another reason, see /readyz',
    }),
    reason: nullable(
      Type.String(),
      'While stopping and once stopped: "request", "signal", "idle" or "lifetime". If misconfigured: what is wrong with the settings. Else null',
    ),
    resumed: Type.Boolean({
      description: 'The workspace has the files of an earlier boot',
    }),
    recovered: Type.Boolean({
      description: 'The workspace was not left clean and was repaired at the start',
    }),
    recovery: Type.Array(Type.String(), { description: 'The steps of the repair' }),
    reset: nullable(Reset, 'Why the workspace was started empty; null: it was not'),
    expired: Type.Boolean({
      description: 'At the start the workspace had been unused for retentionMs',
    }),
    expiresAt: nullableTime(
      'When the workspace expires if it is not used again; null: never, or unknown',
    ),
    workspace: WorkspaceInfo,
    cgroup: Type.Object(
      {
        mode: Type.Enum(['cgroup2', 'group'], {
          description:
            'How commands are contained: each in a cgroup of its own, or only in a process group',
        }),
        path: nullable(
          Type.String(),
          'The parent of the cgroups of commands; null if there are none',
        ),
        limits: Type.Array(Type.Enum(['memory', 'pids', 'cpu']), {
          description: 'The limits that this machine can enforce',
        }),
      },
      { description: 'How commands are contained and limited' },
    ),
    memory: nullable(
      Type.Object({
        limitBytes: count(
          'Most memory that all commands together can use, in bytes; commands of root are not counted',
        ),
        usedBytes: count('Memory that they use, in bytes'),
        leftBytes: count(
          'Files in memory and shared memory among that, in bytes: it stays in use when processes end',
        ),
        rootFilesBytes: nullableCount(
          'Memory that the files of the root file system use, in bytes; null: they are on a disk',
        ),
      }),
      'Memory of all commands; null if no cgroup limits it',
    ),
    limits: Type.Object(
      {
        maxCommands: count('Most commands that can run at once'),
        memoryBytes: nullableCount('Memory of a command, in bytes; null: no limit'),
        pids: nullableCount('Processes and threads of a command; null: no limit'),
        cpus: nullable(Type.Number({ minimum: 0 }), 'Processors of a command; null: no limit'),
        nofile: nullableCount('Open files of each process; null: no limit'),
      },
      {
        description:
          'Most commands at once, and the default limits of a command: those of the session, else the configured ones',
      },
    ),
    commands: Type.Object(
      {
        running: count('Number of commands that run'),
        ended: count('Number of ended commands whose output can still be read'),
      },
      { description: 'Numbers of commands' },
    ),
    idleMs: count('The session is stopped after this time without work, in milliseconds; 0: never'),
    lifetimeMs: count(
      'The session is stopped this long after the first start of guestd in this boot, in milliseconds; 0: never',
    ),
    idleSince: nullableTime(
      'When the last work ended, or guestd started; null while there is work',
    ),
    endsAt: nullableTime(
      'When idleMs or lifetimeMs ends the session, if there is no more work; null: never',
    ),
    lastStop: nullable(
      Receipt,
      'The receipt of this stop, or before the stop that of the last session; null: none is known',
    ),
    bootId: Type.String({ description: 'Id that the kernel gave this boot' }),
    startedAt: time('When guestd started'),
    version: Type.String({ description: 'Version of guestd' }),
    apiVersion: Type.String({ description: `Version of the API: "${API_VERSION}"` }),
  },
  { description: 'The session' },
)
export type SessionInfo = Static<typeof SessionInfo>
