/** The JSON form of frames, for the OpenAPI document: nothing is checked against it at run time. */

import * as Type from 'typebox'
import { causes, streams } from '../../protocol/frames.ts'

const count = (description: string) => Type.Integer({ minimum: 0, description })
const orNull = (type: 'string' | 'integer' | 'number', description: string) =>
  Type.Unsafe<unknown>({ type: [type, 'null'], description })

const cursor = count('Position in the log after this frame, in bytes')

/** Every field is always there; one more makes a new version of the API. */
const frame = (type: string, description: string, fields: Type.TProperties) =>
  Type.Object({ type: Type.Literal(type), ...fields }, { description, additionalProperties: false })

const output = { stream: Type.Enum([...streams]), cursor }

export const Frame = Type.Union(
  [
    frame('start', 'What runs. Every stream of frames begins with it', {
      id: Type.String({ description: 'Id of the command' }),
      pid: orNull('integer', 'Process id in the guest; null where nothing was launched'),
      startedAt: Type.String({ format: 'date-time', description: 'ISO 8601, UTC' }),
      cwd: Type.String(),
      user: Type.String(),
      cursor,
    }),
    frame('output', 'Bytes that are whole characters of UTF-8', {
      ...output,
      text: Type.String(),
    }),
    frame('output', 'Bytes that are not', {
      ...output,
      base64: Type.String({ contentEncoding: 'base64' }),
    }),
    frame('gap', 'Bytes that are no longer held', {
      from: count('First position that is lost'),
      to: count('First position that is not'),
      cursor,
    }),
    frame('exit', 'The process has exited; its pipes may still hold output', {
      exitCode: orNull('integer', 'null where a signal ended it, and where nothing ran'),
      signal: orNull('string', 'Name of the signal that ended it'),
      cause: Type.Enum([...causes], { description: 'Why it ended: the first cause wins' }),
      stage: orNull('string', 'With cause "spawn": the step that failed'),
      errno: orNull('string', 'With cause "spawn": name of the error'),
      interpreter: orNull('string', 'The interpreter that is missing, where exec failed for that'),
      oomScope: Type.Unsafe<unknown>({
        enum: ['command', 'machine', null],
        description: 'With cause "oom": whose memory ran out',
      }),
      workspaceFull: Type.Unsafe<unknown>({
        enum: ['bytes', 'inodes', null],
        description: 'What of the workspace was seen full while it ran',
      }),
      durationMs: count('From launch to exit, in milliseconds'),
      cpuMs: orNull('number', 'User and system time, in milliseconds'),
      maxRssBytes: orNull('integer', 'Most memory used at once, in bytes'),
      cursor,
    }),
    frame('end', 'The last frame', {
      stdoutBytes: count('All bytes of standard output'),
      stderrBytes: count('All bytes of standard error'),
      truncated: count('Bytes that this stream of frames lost to gaps'),
      descendants: count('Processes that are still alive in the cgroup of the command'),
      cursor,
    }),
    frame('keepalive', 'Sent when there was nothing to send for a while', {
      at: Type.String({ format: 'date-time', description: 'ISO 8601, UTC' }),
      cursor,
    }),
    frame('error', "guestd's own failure", {
      code: Type.String({ description: 'A code of the problems' }),
      message: Type.String(),
    }),
  ],
  { description: "A frame of a command's output, in JSON" },
)
