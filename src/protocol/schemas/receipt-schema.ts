/** What a flush and a stop answer with. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { count, nullable, nullableCount } from './parts.ts'

export const StopReason = Type.Enum(['request', 'signal', 'idle', 'lifetime'], {
  description:
    'Why the session was stopped: by a call of the API, by a signal to guestd, or by its idle or lifetime limit',
})
export type StopReason = Static<typeof StopReason>

export const receiptFields = {
  at: Type.String({ format: 'date-time', description: 'When it was done; ISO 8601, UTC' }),
  generation: nullableCount('The generation of the workspace; null: unknown'),
  device: nullable(Type.String(), 'The block device of the workspace; null for a folder'),
  outcome: Type.Enum(['flush', 'unmount', 'shutdown', 'none'], {
    description:
      'flush: written to the device. unmount: written and unmounted. shutdown: written, and shut down because it was in use: it takes no more writes. none: there was nothing to do, or nothing could be done',
  }),
  dirtyBytes: count('What the machine had yet to write when the flush began, in bytes'),
  flushMs: count('How long the flush took, in milliseconds'),
  ms: count('How long all of it took, in milliseconds'),
  errorsSince: Type.Enum(['mount', 'restart', 'flush'], {
    description:
      'From when on failed writes are known: the mount; or the start of this guestd, which took the mount over; or this flush, of a folder',
  }),
  errors: Type.Array(Type.String(), { description: 'What failed, the oldest first' }),
  heldBy: nullable(Type.String(), 'Who kept the workspace from being unmounted'),
  clean: Type.Boolean({
    description:
      'All that was written is on the device; after a stop, its file system has nothing to recover, too',
  }),
  reason: Type.Optional(StopReason),
}

export const Receipt = Type.Object(receiptFields, { description: 'How the workspace is left' })
export type Receipt = Static<typeof Receipt>

export const StopStep = Type.Object(
  {
    type: Type.Literal('step'),
    name: Type.Enum(['commands', 'flush', 'trim', 'unmount', 'verify', 'mark', 'detach'], {
      description: 'What is being done',
    }),
    state: Type.Enum(['started', 'running', 'done', 'failed'], {
      description: 'A step that takes long is told each second',
    }),
    ms: count('How long it has taken so far, in milliseconds'),
    reason: Type.Optional(Type.String({ description: 'Why it failed' })),
  },
  { description: 'A step of the stop' },
)
export type StopStep = Static<typeof StopStep>

export const StopReceipt = Type.Object(
  { type: Type.Literal('receipt'), ...receiptFields },
  { description: 'The last line of a stop' },
)
export type StopReceipt = Static<typeof StopReceipt>

export const SessionStart = Type.Object(
  {
    restarting: Type.Boolean({
      description:
        'guestd ends itself, so that its service manager starts it again with the session. `false`: the session is not stopped',
    }),
  },
  { description: 'The answer to a start' },
)
export type SessionStart = Static<typeof SessionStart>

export const ClearedTemporary = Type.Object(
  {
    removed: Type.Integer({ minimum: 0, description: 'Files and folders that were removed' }),
    freedBytes: Type.Integer({ minimum: 0, description: 'What they took, in bytes' }),
    kept: Type.Integer({
      minimum: 0,
      description: 'Files and folders that could not be removed, such as mount points',
    }),
  },
  { description: 'What was removed of temporary files' },
)
export type ClearedTemporary = Static<typeof ClearedTemporary>

export const StopFrame = Type.Union([StopStep, StopReceipt], {
  description: 'A line of the answer to a stop',
})
export type StopFrame = Static<typeof StopFrame>
