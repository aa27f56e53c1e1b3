/** The replies about commands. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { endFields, exitFields } from './frame-schema.ts'
import {
  COMMAND_LINE_CHARACTERS,
  commandId,
  count,
  nullable,
  nullableCount,
  nullableTime,
  nullWhileRunning,
  SUMMARY_STREAM_BYTES,
  time,
} from './parts.ts'

export const RunAccepted = Type.Object(
  { id: commandId('Id of the command') },
  { description: 'The reply to a run with detach' },
)
export type RunAccepted = Static<typeof RunAccepted>

export const StdinReply = Type.Object(
  {
    acceptedBytes: count('Bytes of standard input accepted so far: the offset of the next byte'),
  },
  { description: 'How much standard input was accepted' },
)
export type StdinReply = Static<typeof StdinReply>

const proof = (description: string) => Type.Enum(['cgroup', 'group'], { description })

export const KillReply = Type.Object(
  {
    id: commandId('Id of the command'),
    empty: Type.Boolean({
      description: 'No process of the command is known to be alive',
    }),
    proof: proof(
      'How that is known: "cgroup", from the kernel, for all descendants; "group", from the process group, which a process can leave',
    ),
    moved: Type.Array(Type.Integer({ minimum: 1 }), {
      maxItems: 100,
      description:
        'Process ids of processes that root has moved to another cgroup, and that are still alive',
    }),
  },
  {
    description:
      'The reply to a kill, sent once the cgroup is empty and the first process has exited',
  },
)
export type KillReply = Static<typeof KillReply>

export const CommandUsage = Type.Object(
  {
    memoryBytes: nullableCount('Memory of the cgroup, in bytes; null: unknown'),
    pids: nullableCount('Processes and threads in the cgroup; null: unknown'),
    cpuMs: nullable(
      Type.Number({ minimum: 0 }),
      'Processor time so far, in milliseconds; null: unknown',
    ),
  },
  { description: 'What the command uses now' },
)
export type CommandUsage = Static<typeof CommandUsage>

export const CommandInfo = Type.Object(
  {
    id: commandId('Id of the command'),
    state: Type.Enum(['running', 'ended'], { description: 'Whether its first process is alive' }),
    pid: nullableCount('Process id in the guest; null if no process was launched'),
    startedAt: time('When the command was started'),
    endedAt: nullableTime('When the process exited; null while it runs'),
    cwd: Type.String({ description: 'Working directory' }),
    user: Type.String({ description: 'Name of the user that the command runs as' }),
    commandLine: Type.String({
      description: `The first ${COMMAND_LINE_CHARACTERS} characters of the script, or of argv joined by spaces`,
    }),
    detach: Type.Boolean({ description: 'Whether it was started with detach' }),
    ...nullWhileRunning(exitFields),
    stdoutBytes: count('Bytes of standard output so far'),
    stderrBytes: count('Bytes of standard error so far'),
    truncated: count('Bytes of output that guestd no longer holds'),
    descendants: count('Processes that are alive in its cgroup after the exit; 0 while it runs'),
    lateBytes: count('Bytes of output that came after the end frame'),
    outputOpen: Type.Boolean({
      description: 'More output can follow: a process holds a pipe of the command open',
    }),
    cursor: count('Position at the end of the output, in bytes'),
    firstCursor: count('Position of the oldest byte that guestd holds'),
    proof: proof(
      'How the command is contained: in a cgroup of its own, or in a process group, which a process can leave',
    ),
    usage: nullable(CommandUsage, 'What the command uses now; null once it has ended'),
  },
  { description: 'A command' },
)
export type CommandInfo = Static<typeof CommandInfo>

export const CommandList = Type.Object(
  { commands: Type.Array(CommandInfo, { description: 'The commands, oldest first' }) },
  { description: 'Commands that run, and ended commands that guestd still holds' },
)
export type CommandList = Static<typeof CommandList>

const lastOf = (stream: string) =>
  `The last bytes of ${stream}, if they are UTF-8: at most outputLimitBytes (default ${SUMMARY_STREAM_BYTES}), beginning with a whole character`
const lastOfInBase64 = (stream: string) =>
  `Instead of ${stream}, if its last bytes are not UTF-8: these bytes in base64`

const cutOf = (stream: string) => `Bytes at the beginning of ${stream} that this object leaves out`

export const CommandSummary = Type.Object(
  {
    id: commandId('Id of the command'),
    ...nullWhileRunning(exitFields),
    ...nullWhileRunning(endFields),
    cursor: count('Position in the output after this object, in bytes'),
    stdoutCut: count(cutOf('stdout')),
    stderrCut: count(cutOf('stderr')),
    stdout: Type.Optional(Type.String({ description: lastOf('standard output') })),
    stdoutBase64: Type.Optional(Type.String({ description: lastOfInBase64('stdout') })),
    stderr: Type.Optional(Type.String({ description: lastOf('standard error') })),
    stderrBase64: Type.Optional(Type.String({ description: lastOfInBase64('stderr') })),
  },
  { description: 'A run as one object (application/json), sent once the command has ended' },
)
export type CommandSummary = Static<typeof CommandSummary>
