/**
 * The frames of a command's output: the one declaration of their fields. The order of the fields in JSON, the check of
 * what the client receives, the in-memory types, the JSON reply of a run, the record in the journal, the OpenAPI
 * document and the tables of docs/frames.md are made from it. In JSON every field is always present.
 */

import type { Static, TProperties } from 'typebox'
import * as Type from 'typebox'
import { count, nullable, nullableCount, time } from './parts.ts'

/** Why a command ended. */
export const causes = [
  'exit',
  'signal',
  'timeout',
  'oom',
  'quota',
  'killed',
  'stopped',
  'disconnected',
  'spawn',
  'lost',
] as const
export type Cause = (typeof causes)[number]

/** The streams of a command's output. `tty` is the one stream of a terminal. */
export const streamNames = ['stdout', 'stderr', 'tty'] as const
export type StreamName = (typeof streamNames)[number]

/** What is known when the process exits. */
export const exitFields = {
  exitCode: nullable(
    Type.Integer({ minimum: 0, maximum: 255 }),
    'Exit code; null if a signal ended the process, or no process was launched',
  ),
  signal: nullable(
    Type.String(),
    'Name of the signal that ended the process, such as "SIGKILL"; null if none did',
  ),
  cause: Type.Enum([...causes], {
    description: 'Why the command ended. If there are several causes, the first one counts',
  }),
  stage: nullable(
    Type.String(),
    'The step of the launch that failed, such as "chdir" or "exec"; null unless cause is "spawn"',
  ),
  errno: nullable(
    Type.String(),
    'Name of the error of that step, such as "ENOENT"; null unless cause is "spawn"',
  ),
  interpreter: nullable(
    Type.String(),
    'The missing interpreter that the program names, with stage "exec" and errno "ENOENT"; else null',
  ),
  oomScope: nullable(
    Type.Enum(['command', 'machine']),
    'Which memory ran out: the limit of the command, or the memory of the machine or of all commands; null unless cause is "oom"',
  ),
  workspaceFull: nullable(
    Type.Enum(['bytes', 'inodes']),
    'What the workspace ran out of while the command ran; null: it was not full',
  ),
  durationMs: count('Time from launch to exit, in milliseconds'),
  cpuMs: nullable(
    Type.Number({ minimum: 0 }),
    'User and system time of the process and of the children it waited for, in milliseconds; null: unknown',
  ),
  maxRssBytes: nullableCount(
    'Most memory used at once, in bytes: of the cgroup, page cache included, or else the largest resident set of one process; null: unknown',
  ),
}

/** What is known when the output is complete. */
export const endFields = {
  stdoutBytes: count('Bytes of standard output, in total'),
  stderrBytes: count('Bytes of standard error, in total'),
  truncated: count('Bytes that this stream of frames did not deliver: the sum of its gaps'),
  descendants: count('Processes of the command that are still alive in its cgroup'),
}

export const ExitFacts = Type.Object(exitFields, { description: 'How a command ended' })
export type ExitFacts = Readonly<Static<typeof ExitFacts>>

export const EndFacts = Type.Object(endFields, { description: 'What a command wrote and left' })
export type EndFacts = Readonly<Static<typeof EndFacts>>

const cursor = count('Position in the output after this frame, in bytes')

const frame = <const Name extends string, Fields extends TProperties>(
  type: Name,
  description: string,
  fields: Fields,
) =>
  Type.Object(
    { type: Type.Literal(type, { description: 'Type of the frame' }), ...fields },
    { description, additionalProperties: false },
  )

export const StartFrame = frame('start', 'The first frame of every stream', {
  id: Type.String({ description: 'Id of the command' }),
  pid: nullableCount('Process id in the guest; null if no process was launched'),
  startedAt: time('When the command was started'),
  cwd: Type.String({ description: 'Working directory of the command' }),
  user: Type.String({ description: 'Name of the user that the command runs as' }),
  cursor,
})
export type StartFrame = Readonly<Static<typeof StartFrame>>

export const GapFrame = frame('gap', 'Output that guestd no longer holds', {
  from: count('Position of the first missing byte'),
  to: count('Position after the last missing byte'),
  cursor,
})
export type GapFrame = Readonly<Static<typeof GapFrame>>

export const ExitFrame = frame('exit', 'The process has exited. More output can follow', {
  ...exitFields,
  cursor,
})
export type ExitFrame = Readonly<Static<typeof ExitFrame>>

export const EndFrame = frame('end', 'The last frame', { ...endFields, cursor })
export type EndFrame = Readonly<Static<typeof EndFrame>>

export const KeepaliveFrame = frame('keepalive', 'Sent after keepaliveMs without another frame', {
  at: time('When it was sent'),
  cursor,
})
export type KeepaliveFrame = Readonly<Static<typeof KeepaliveFrame>>

export const ErrorFrame = frame('error', 'guestd itself failed, and the stream ends here', {
  code: Type.String({ description: 'A code of the table of errors' }),
  message: Type.String({ description: 'What went wrong' }),
})
export type ErrorFrame = Readonly<Static<typeof ErrorFrame>>

const outputFields = {
  stream: Type.Enum([...streamNames], { description: 'Where the command wrote it' }),
  cursor,
}

export const TextFrame = frame('output', 'Output that is valid UTF-8', {
  ...outputFields,
  text: Type.String({ description: 'The bytes as text. It never ends inside a character' }),
})
export type TextFrame = Readonly<Static<typeof TextFrame>>

export const Base64Frame = frame('output', 'Output that is not valid UTF-8', {
  ...outputFields,
  base64: Type.String({ contentEncoding: 'base64', description: 'The bytes in base64' }),
})
export type Base64Frame = Readonly<Static<typeof Base64Frame>>

/** The frames by their type, except `output`. */
export const frameSchemas = {
  start: StartFrame,
  gap: GapFrame,
  exit: ExitFrame,
  end: EndFrame,
  keepalive: KeepaliveFrame,
  error: ErrorFrame,
}

export const JsonFrame = Type.Union(
  [StartFrame, TextFrame, Base64Frame, GapFrame, ExitFrame, EndFrame, KeepaliveFrame, ErrorFrame],
  { description: "A part of a command's output or life, in JSON" },
)
