/** What guestd answers about commands. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { endFields, exitFields } from './frame-schema.ts'
import {
  COMMAND_LINE_CHARACTERS,
  commandId,
  count,
  nullable,
  nullableCount,
  nullWhileRunning,
  SUMMARY_STREAM_BYTES,
} from './parts.ts'

export const RunAccepted = Type.Object(
  { id: commandId('Id of the command') },
  { description: 'The answer to a detached run' },
)
export type RunAccepted = Static<typeof RunAccepted>

export const StdinReply = Type.Object(
  {
    acceptedBytes: count(
      "Bytes of standard input accepted over the command's life: the offset of the next byte",
    ),
  },
  { description: 'What of standard input has been accepted' },
)
export type StdinReply = Static<typeof StdinReply>

const proof = (description: string) => Type.Enum(['cgroup', 'group'], { description })

export const KillReply = Type.Object(
  {
    id: commandId('Id of the command'),
    empty: Type.Boolean({
      description:
        'No process of the command is known to be left: none in its cgroup, nor in moved',
    }),
    proof: proof(
      'Who says so: "cgroup", the kernel for the whole tree; "group", the process group, which a process can leave',
    ),
    moved: Type.Array(Type.Integer({ minimum: 1 }), {
      maxItems: 100,
      description:
        'Processes of the command that live on in another cgroup, by their pids: root has moved them there',
    }),
  },
  { description: 'Sent once its cgroup is empty and its first process has ended' },
)
export type KillReply = Static<typeof KillReply>

export const CommandUsage = Type.Object(
  {
    memoryBytes: nullableCount('Memory of the cgroup, in bytes; null: unknown'),
    pids: nullableCount('Processes and threads in the cgroup; null: unknown'),
    cpuMs: nullable(
      Type.Number({ minimum: 0 }),
      'Processor time used so far, in milliseconds; null: unknown',
    ),
  },
  { description: 'What the command uses now' },
)
export type CommandUsage = Static<typeof CommandUsage>

export const CommandInfo = Type.Object(
  {
    id: commandId('Id of the command'),
    state: Type.Enum(['running', 'ended'], { description: 'Whether its process lives' }),
    pid: nullableCount('Process id in the guest; null where nothing was launched'),
    startedAt: Type.String({ format: 'date-time', description: 'ISO 8601, UTC' }),
    endedAt: nullable(
      Type.String({ format: 'date-time' }),
      'ISO 8601, UTC; null while the command runs',
    ),
    cwd: Type.String({ description: 'Working directory' }),
    user: Type.String({ description: 'Name of the user that it runs as' }),
    commandLine: Type.String({
      description: `First ${COMMAND_LINE_CHARACTERS} characters of the script, or of argv joined by spaces`,
    }),
    detach: Type.Boolean({ description: 'Whether it was started with detach' }),
    ...nullWhileRunning(exitFields),
    stdoutBytes: count('Bytes of standard output that entered the log so far'),
    stderrBytes: count('Bytes of standard error that entered the log so far'),
    truncated: count('Bytes that are no longer held'),
    descendants: count('Processes alive in its cgroup after its exit; 0 while it runs'),
    lateBytes: count('Bytes that entered the log after the end frame'),
    outputOpen: Type.Boolean({
      description: 'Whether output may still follow: a process holds one of its pipes open',
    }),
    cursor: count('End of the log, in bytes'),
    firstCursor: count('Position of the oldest byte held'),
    proof: proof(
      'How the command is contained: in a cgroup of its own, or only a process group, which a process can leave',
    ),
    usage: nullable(CommandUsage, 'What the command uses now; null when it has ended'),
  },
  { description: 'A command' },
)
export type CommandInfo = Static<typeof CommandInfo>

export const CommandList = Type.Object(
  { commands: Type.Array(CommandInfo, { description: 'Oldest first' }) },
  { description: 'Commands that run, and ended ones that are still held' },
)
export type CommandList = Static<typeof CommandList>

const lastOf = (stream: string) =>
  `The last bytes of ${stream}, up to outputLimitBytes (default ${SUMMARY_STREAM_BYTES}), from the beginning of a character on, where they are UTF-8`
const lastOfInBase64 = (stream: string) =>
  `In place of ${stream}: its last bytes, up to outputLimitBytes, where they are not UTF-8`

const cutOf = (stream: string) =>
  `Bytes of ${stream} that were read and are not in this object: the first ones`

export const CommandSummary = Type.Object(
  {
    id: commandId('Id of the command'),
    ...nullWhileRunning(exitFields),
    ...nullWhileRunning(endFields),
    cursor: count('Position in the log after what this object tells, in bytes'),
    stdoutCut: count(cutOf('stdout')),
    stderrCut: count(cutOf('stderr')),
    stdout: Type.Optional(Type.String({ description: lastOf('standard output') })),
    stdoutBase64: Type.Optional(Type.String({ description: lastOfInBase64('stdout') })),
    stderr: Type.Optional(Type.String({ description: lastOf('standard error') })),
    stderrBase64: Type.Optional(Type.String({ description: lastOfInBase64('stderr') })),
  },
  { description: 'The application/json form of a run: one object, when it is over' },
)
export type CommandSummary = Static<typeof CommandSummary>
