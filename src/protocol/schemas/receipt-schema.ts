/** The replies to a flush and to a stop. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { count, nullable, nullableCount, time } from './parts.ts'

export const StopReason = Type.Enum(['request', 'signal', 'idle', 'lifetime'], {
  description:
    'Why the session was stopped: a call of the API, a signal to guestd, or the idle or lifetime limit',
})
export type StopReason = Static<typeof StopReason>

export const receiptFields = {
  at: time('When the flush or the stop was done'),
  generation: nullableCount('How many times the workspace has been started; null: unknown'),
  device: nullable(Type.String(), 'The block device of the workspace; null: a folder'),
  outcome: Type.Enum(['flush', 'unmount', 'shutdown', 'none'], {
    description:
      'flush: written to the device. unmount: written and unmounted. shutdown: written, and shut down because it was in use; it accepts no more writes. none: nothing was mounted, or nothing could be done',
  }),
  dirtyBytes: count('What the machine still had to write when the flush began, in bytes'),
  flushMs: count('Duration of the flush, in milliseconds'),
  ms: count('Duration of everything, in milliseconds'),
  errorsSince: Type.Enum(['mount', 'restart', 'flush'], {
    description:
      'Since when failed writes are known: the mount; the restart of guestd, which took over the mount; or this flush, for a folder',
  }),
  errors: Type.Array(Type.String(), { description: 'Failed writes and steps, the oldest first' }),
  heldBy: nullable(
    Type.String(),
    'The processes, mounts or devices that kept the workspace from being unmounted; null: nothing did',
  ),
  clean: Type.Boolean({
    description:
      'Everything written is on the device. After a stop also: the file system has nothing to recover',
  }),
  reason: Type.Optional(StopReason),
}

export const Receipt = Type.Object(receiptFields, {
  description: 'The state in which the workspace is left',
})
export type Receipt = Static<typeof Receipt>

export const StopStep = Type.Object(
  {
    type: Type.Literal('step', { description: 'Type of the line' }),
    name: Type.Enum(['commands', 'flush', 'trim', 'unmount', 'verify', 'mark', 'detach'], {
      description: 'The step',
    }),
    state: Type.Enum(['started', 'running', 'done', 'failed'], {
      description: 'A long step is reported as running each second',
    }),
    ms: count('Duration so far, in milliseconds'),
    reason: Type.Optional(Type.String({ description: 'Why the step failed, or was skipped' })),
  },
  { description: 'A step of the stop' },
)
export type StopStep = Static<typeof StopStep>

export const StopReceipt = Type.Object(
  { type: Type.Literal('receipt', { description: 'Type of the line' }), ...receiptFields },
  { description: 'The last line of the reply to a stop' },
)
export type StopReceipt = Static<typeof StopReceipt>

export const SessionStart = Type.Object(
  {
    restarting: Type.Boolean({
      description:
        'true: guestd exits, and its service manager starts it again with the session. false: the session was not stopped',
    }),
  },
  { description: 'The reply to a start' },
)
export type SessionStart = Static<typeof SessionStart>

export const ClearedTemporary = Type.Object(
  {
    removed: Type.Integer({ minimum: 0, description: 'Files and folders that were removed' }),
    freedBytes: Type.Integer({ minimum: 0, description: 'Their size, in bytes' }),
    kept: Type.Integer({
      minimum: 0,
      description: 'Files and folders that could not be removed, such as mount points',
    }),
  },
  { description: 'The temporary files that were removed' },
)
export type ClearedTemporary = Static<typeof ClearedTemporary>

export const StopFrame = Type.Union([StopStep, StopReceipt], {
  description: 'A line of the reply to a stop',
})
export type StopFrame = Static<typeof StopFrame>
