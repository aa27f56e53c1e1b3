/**
 * The mark of a volume as JSON. What does not match was not written by guestd. Unknown members are allowed and kept: a
 * newer guestd may have more.
 */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { ANY_TIME_PATTERN, count, nullable } from '../protocol/schemas/parts.ts'
import { receiptFields } from '../protocol/schemas/receipt-schema.ts'
import { Reset } from '../protocol/schemas/workspace-schema.ts'
import type { Receipt } from '../protocol/schemas.ts'

const time = (description: string) =>
  Type.String({ pattern: ANY_TIME_PATTERN, description: `${description}; ISO 8601, UTC` })

/** A receipt of any version of guestd. Another version can have other names of outcomes. */
const StoredReceipt = Type.Object({
  ...receiptFields,
  outcome: Type.String(),
  errorsSince: Type.String(),
  reason: Type.Optional(Type.String()),
})

const PendingFormat = Type.Object(
  {
    why: Type.Enum(['blank', ...Reset.enum], {
      description: 'Why it is made: the device was blank, or the reset of an old volume',
    }),
    blocks: count('Size of the file system, in blocks'),
    blockBytes: count('Size of a block, in bytes'),
    inodes: count('Number of inodes'),
    reservedBlocks: count('Blocks that only root can use'),
    label: Type.String({ description: 'Label of the file system' }),
    mmp: Type.Boolean({ description: 'Whether it has multiple mount protection' }),
  },
  { description: 'A file system that is being made, with the geometry of the one before' },
)
export type PendingFormat = Readonly<Static<typeof PendingFormat>>

export const Mark = Type.Object({
  sequence: count('Number of the write: of two valid slots the higher one counts'),
  sessionId: nullable(Type.String(), 'Id of the session that owns the volume; null: none yet'),
  runtimeVersion: nullable(Type.String(), 'Version of the runtime, as the host gave it'),
  generation: count('How many times the volume has been started'),
  state: Type.Enum(['inUse', 'clean'], {
    description: 'inUse from before the mount until the stop has left the volume clean',
  }),
  at: time('When the mark was written'),
  lastActivityAt: Type.Optional(time('When the volume was last used; missing: see at')),
  lastActivityBy: Type.Optional(
    Type.Enum(['host'], { description: 'Whose clock that time is from; missing: the machine' }),
  ),
  receipt: nullable(StoredReceipt, 'The receipt of the last stop that completed'),
  began: Type.Optional(
    Type.Object(
      {
        expired: Type.Boolean({ description: 'The volume had expired' }),
        reset: nullable(Reset, 'Why it was started empty; null: it was not'),
      },
      { description: 'How this generation began, for a daemon that takes the mount over' },
    ),
  ),
  pending: Type.Optional(PendingFormat),
})
type Stored = Omit<Static<typeof Mark>, 'receipt'>

/** An optional member that is undefined is not written. */
export type Mark = {
  readonly [Name in keyof Stored]:
    | Stored[Name]
    | (object extends Pick<Stored, Name> ? undefined : never)
} & { readonly receipt: Receipt | null }
