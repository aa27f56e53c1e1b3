/** What guestd reports about the workspace. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { count, nullable, nullableCount, time } from './parts.ts'

export const usageFields = {
  usedBytes: count(
    'Space in use, in bytes. On a device this includes files that are deleted and still open, and excludes the tables of the file system',
  ),
  availableBytes: count('Space that can still be written, in bytes'),
  capBytes: count('Size of the workspace: most bytes that can be in use'),
  usedInodes: count('Number of files and folders'),
  availableInodes: nullableCount(
    'Number of files and folders that can still be created; null for a folder, which has no limit of them',
  ),
  full: nullable(
    Type.Enum(['bytes', 'inodes']),
    'What has run out; null: nothing. "bytes" means that at most 1 MiB is left',
  ),
}

const WorkspaceUsage = Type.Object(
  {
    ...usageFields,
    at: time('When it was measured: for a device now, for a folder at the last scan'),
  },
  { description: 'How full the workspace is' },
)

export const Reset = Type.Enum(['expired', 'versionChanged'], {
  description:
    'Why the workspace was started empty: it was unused for retentionMs (expired), or the host set another runtimeVersion (versionChanged)',
})
export type Reset = Static<typeof Reset>

export const WorkspaceInfo = Type.Object(
  {
    path: Type.String({ description: 'Path of the workspace in the guest' }),
    ok: Type.Boolean({ description: 'Whether commands can use it' }),
    reason: nullable(Type.String(), 'Why it cannot be used; null if it can'),
    device: nullable(Type.String(), 'The block device that guestd mounted; null for a folder'),
    sessionId: nullable(
      Type.String(),
      'Id of the session that owns it, from the mark of the volume; null: none is set, or there is no mark',
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
      'How full it is; null for a folder without a cap, and before the first measurement',
    ),
  },
  { description: 'The workspace' },
)
export type WorkspaceInfo = Static<typeof WorkspaceInfo>

export const WorkspaceLargest = Type.Object(
  {
    complete: Type.Boolean({
      description: 'Whether all of the workspace was read within the time limit',
    }),
    entries: Type.Array(
      Type.Object({
        path: Type.String({ description: 'Absolute path of a file or folder' }),
        bytes: count('Space on the disk, in bytes, including everything below'),
        files: count('Number of files and folders, including itself'),
      }),
      { description: 'The files and folders directly in the workspace, largest first' },
    ),
    deletedOpenBytes: count('Space of all files that are deleted and still open, in bytes'),
    deletedOpen: Type.Array(
      Type.Object({
        pid: count('Process that has the file open'),
        name: Type.String({ description: 'Name of that process' }),
        path: Type.String({ description: 'Path of the file before it was deleted' }),
        bytes: count('Space on the disk, in bytes'),
      }),
      { description: 'The largest of these files' },
    ),
    memory: Type.Array(
      Type.Object({
        place: Type.String({ description: 'The file system, or "SysV shared memory"' }),
        bytes: count('Memory in use, in bytes'),
      }),
      { description: 'Memory that stays in use after processes end, largest first' },
    ),
  },
  { description: 'What uses the space of the workspace, and memory' },
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
