/** What guestd tells about the workspace. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { count, nullable, nullableCount } from './parts.ts'

export const usageFields = {
  usedBytes: count(
    'What was put there, in bytes on the disk; on a device files that are deleted and still open count, the tables of the file system do not',
  ),
  availableBytes: count('What may still be written, in bytes'),
  capBytes: count('How much there may be, in bytes'),
  usedInodes: count('Files and folders'),
  availableInodes: nullableCount(
    'How many more there may be; null for a folder: nothing caps them',
  ),
  full: nullable(
    Type.Enum(['bytes', 'inodes']),
    'What has run out, or null: bytes with 1 MiB left or less, as a write of so much may fail whole',
  ),
}

const WorkspaceUsage = Type.Object(
  {
    ...usageFields,
    at: Type.String({
      format: 'date-time',
      description:
        'When it was measured, ISO 8601, UTC: for a device now, for a folder at the last walk',
    }),
  },
  { description: 'How full the workspace is' },
)

export const Reset = Type.Enum(['expired', 'versionChanged'], {
  description:
    'Why it was started empty: nobody had worked there for retentionMs, or the host told another runtime version',
})
export type Reset = Static<typeof Reset>

export const WorkspaceInfo = Type.Object(
  {
    path: Type.String({ description: 'Where it is in the guest' }),
    ok: Type.Boolean({ description: 'It can be used' }),
    reason: nullable(Type.String(), 'Why it cannot be used, or null'),
    device: nullable(Type.String(), 'The block device that guestd mounted; null for a folder'),
    sessionId: nullable(
      Type.String(),
      'Whose it is, by the mark of the volume; null: nobody has said, or it has no mark',
    ),
    capEnforcement: Type.Enum(['kernel', 'advisory', 'none'], {
      description:
        'What enforces the cap: kernel, the size of the device; advisory, guestd refuses new commands while a folder is larger than workspaceCapBytes; none, there is no cap',
    }),
    enforcedFor: Type.Enum(['everyone', 'users', 'none'], {
      description:
        'Whose writes the cap stops. users: the file system reserves blocks, which root may use past the cap',
    }),
    usage: nullable(
      WorkspaceUsage,
      'How full it is; null while that is not known, and for a folder without a cap',
    ),
  },
  { description: 'The workspace' },
)
export type WorkspaceInfo = Static<typeof WorkspaceInfo>

export const WorkspaceLargest = Type.Object(
  {
    complete: Type.Boolean({ description: 'All of it could be read, in time' }),
    entries: Type.Array(
      Type.Object({
        path: Type.String({ description: 'Absolute' }),
        bytes: count('On the disk, with all that is below'),
        files: count('Files and folders, itself included'),
      }),
      { description: 'What is directly in the workspace, the largest first' },
    ),
    deletedOpenBytes: count('Files that have no name any more, but are open: all of them'),
    deletedOpen: Type.Array(
      Type.Object({
        pid: count('A process that has it open'),
        name: Type.String({ description: 'Of that process' }),
        path: Type.String({ description: 'Where the file was' }),
        bytes: count('On the disk'),
      }),
      { description: 'The largest of them' },
    ),
    memory: Type.Array(
      Type.Object({
        place: Type.String({ description: 'Which files, or "SysV shared memory"' }),
        bytes: count('In memory'),
      }),
      { description: 'Where memory is that stays when a process ends, the largest first' },
    ),
  },
  { description: 'Who takes the space of the workspace, and of memory' },
)
export type WorkspaceLargest = Static<typeof WorkspaceLargest>

export const LargestQuery = Type.Object(
  {
    count: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000,
        default: 10,
        description: 'How many entries of each list to return. Default 10',
      }),
    ),
  },
  { additionalProperties: false },
)
