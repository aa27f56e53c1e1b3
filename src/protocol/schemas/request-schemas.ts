/** The bodies, queries and path parameters of requests. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import {
  commandId,
  count,
  MAX_ARG_BYTES,
  MAX_ARGV,
  MAX_COMMAND_BYTES,
  MAX_EXEC_BYTES,
  MAX_PATH_BYTES,
  MAX_SUMMARY_STREAM_BYTES,
  MAX_TIMEOUT_MS,
  MAX_USER_BYTES,
  MAX_VARIABLES,
  NO_NUL_PATTERN,
  SIGNAL_PATTERN,
  SUMMARY_STREAM_BYTES,
} from './parts.ts'

const closed = { additionalProperties: false } as const

/** Highest uid: 2^32 - 1 means "no change" to setresuid(2). */
const MAX_UID = 2 ** 32 - 2

/** Limits of one command. A limit that is left out is that of the session, else that of the settings. */
export const CommandLimits = Type.Object(
  {
    memoryBytes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
        description:
          'Memory of the whole cgroup, in bytes. Past it the command ends with cause "oom"',
      }),
    ),
    pids: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2 ** 22,
        description: 'Processes and threads in the cgroup, including the first process',
      }),
    ),
    cpus: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 4096,
        description: 'Number of processors: 0.5 is half of the time of one',
      }),
    ),
    nofile: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2 ** 20,
        description: 'Open files of each process (RLIMIT_NOFILE, soft and hard)',
      }),
    ),
  },
  {
    ...closed,
    description:
      'Limits of a command. A limit that the machine cannot enforce is 422 "limit_unavailable". Default: the limits of the session, else the settings',
  },
)
export type CommandLimits = Static<typeof CommandLimits>

/** Defaults are applied by code. {@link checkRunRequest} checks what JSON Schema cannot express. */
export const RunRequest = Type.Object(
  {
    id: Type.Optional(
      commandId(
        'Makes the request idempotent: the same id and body attaches to the command that the first request started; another body is 409 "id_conflict". Default: guestd makes one',
      ),
    ),
    command: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_COMMAND_BYTES,
        pattern: NO_NUL_PATTERN,
        description: `A script for bash -c; at most ${MAX_COMMAND_BYTES} bytes of UTF-8, without NUL. Exactly one of command and argv is required`,
      }),
    ),
    argv: Type.Optional(
      Type.Array(
        Type.String({
          pattern: NO_NUL_PATTERN,
          maxLength: MAX_ARG_BYTES,
          description: `At most ${MAX_ARG_BYTES} bytes of UTF-8, without NUL`,
        }),
        {
          minItems: 1,
          maxItems: MAX_ARGV,
          description: `A program and its arguments, which run without a shell; the first string is not empty. Together with env at most ${MAX_EXEC_BYTES} bytes, with 9 bytes more for each string. Exactly one of command and argv is required`,
        },
      ),
    ),
    cwd: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_PATH_BYTES,
        pattern: NO_NUL_PATTERN,
        description: `Working directory, at most ${MAX_PATH_BYTES} bytes. A relative path starts at the workspace. Default: the workspace; for a command as root, if commands run as another user by default, root's home`,
      }),
    ),
    env: Type.Optional(
      Type.Unsafe<Record<string, string>>({
        type: 'object',
        maxProperties: MAX_VARIABLES,
        additionalProperties: {
          type: 'string',
          maxLength: MAX_ARG_BYTES,
          pattern: NO_NUL_PATTERN,
        },
        description: `Variables, which override those of the session, the settings and the login. A name is not empty and contains neither "=" nor NUL; NAME=value has at most ${MAX_ARG_BYTES} bytes. Default: none`,
      }),
    ),
    user: Type.Optional(
      Type.Union(
        [
          Type.String({ minLength: 1, maxLength: MAX_USER_BYTES, pattern: NO_NUL_PATTERN }),
          Type.Integer({ minimum: 0, maximum: MAX_UID }),
        ],
        {
          description:
            'Name or uid to run as, with its groups; or UID:GID, with that group alone. A uid without an entry in the user database gets the group of the same number. Default: the setting, else the user of guestd',
        },
      ),
    ),
    timeoutMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_TIMEOUT_MS,
        description:
          'Time limit in milliseconds; 0: none. At the limit the command gets SIGTERM, after killGraceMs its cgroup is killed, and the cause is "timeout". Default: the setting, 300000; with detach 0',
      }),
    ),
    stdin: Type.Optional(
      Type.Enum(['null', 'open'], {
        description:
          'Standard input: "null" is /dev/null, "open" a pipe that POST …/stdin writes to. Default: "null"',
      }),
    ),
    stderr: Type.Optional(
      Type.Enum(['separate', 'stdout'], {
        description:
          'Standard error: "separate" has its own pipe; "stdout" uses the pipe of standard output, so that all output keeps the order in which it was written. Default: "separate"',
      }),
    ),
    limits: Type.Optional(CommandLimits),
    detach: Type.Optional(
      Type.Boolean({
        description: 'Reply 202 with the id at once, and run without a reader. Default: false',
      }),
    ),
    onDisconnect: Type.Optional(
      Type.Enum(['keep', 'kill'], {
        description:
          'What happens when the stream that started the command is cut: "keep" the command, or "kill" it with cause "disconnected". Default: "keep"',
      }),
    ),
    allowOverCap: Type.Optional(
      Type.Boolean({
        description:
          'Run the command even if the workspace is a folder past its cap, to make room. Has no effect on a device. Default: false',
      }),
    ),
    background: Type.Optional(
      Type.Enum(['keep', 'kill'], {
        description:
          'Processes that outlive the command: "keep" them, or "kill" them at its exit. Default: "keep"',
      }),
    ),
  },
  { ...closed, description: 'A command to run' },
)
export type RunRequest = Static<typeof RunRequest>

export const SignalTarget = Type.Enum(['process', 'group', 'cgroup'], {
  description:
    'Which processes get the signal: the first one, its process group, or all of the cgroup. Default: "group"',
})
export type SignalTarget = Static<typeof SignalTarget>

export const SignalRequest = Type.Object(
  {
    signal: Type.String({
      pattern: SIGNAL_PATTERN,
      description: 'Name of the signal, such as "SIGTERM"',
    }),
    target: Type.Optional(SignalTarget),
  },
  { ...closed, description: 'A signal to send' },
)
export type SignalRequest = Static<typeof SignalRequest>

const outputLimitBytes = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: MAX_SUMMARY_STREAM_BYTES,
    description: `For application/json: how many of the last bytes of each stream the reply has. Default: ${SUMMARY_STREAM_BYTES}`,
  }),
)

export const RunQuery = Type.Object({ outputLimitBytes }, closed)
export type RunQuery = Static<typeof RunQuery>

export const OutputQuery = Type.Object(
  {
    outputLimitBytes,
    cursor: Type.Optional(
      count('Position in the output to start after, in bytes. Default: 0, the beginning'),
    ),
    follow: Type.Optional(
      Type.Boolean({
        description:
          'Continue until the end; otherwise the reply stops at the present. Default: false',
      }),
    ),
    hold: Type.Optional(
      Type.Boolean({
        description:
          'Make the command wait for this reader, as it waited for the connection that started it. Implies follow. Default: false',
      }),
    ),
  },
  closed,
)
export type OutputQuery = Static<typeof OutputQuery>

export const StdinQuery = Type.Object(
  {
    offset: Type.Optional(
      count(
        'Position of the first byte of the body in standard input. guestd skips bytes that it has already accepted. Default: after the bytes accepted so far',
      ),
    ),
    eof: Type.Optional(
      Type.Boolean({ description: 'Close standard input after the body. Default: false' }),
    ),
  },
  closed,
)
export type StdinQuery = Static<typeof StdinQuery>

export const ListQuery = Type.Object(
  {
    state: Type.Optional(
      Type.Enum(['running', 'ended'], {
        description: 'Only commands in this state. Default: all commands',
      }),
    ),
  },
  closed,
)
export type ListQuery = Static<typeof ListQuery>

export const CommandParams = Type.Object({ id: commandId('Id of the command') }, closed)
export type CommandParams = Static<typeof CommandParams>
