/** The workspace: a folder, or an ext4 on a device that guestd mounts. */

import type { Receipt } from '../protocol/schemas.ts'
import type { Owner } from '../volume/owner.ts'
import { openDevice } from './device-workspace.ts'
import { openFolder } from './folder-workspace.ts'
import { sourceOf } from './source.ts'
import { endedWorkspace } from './stopped-workspace.ts'
import type { StoredFd, Workspace, WorkspaceHooks, WorkspaceSettings } from './types.ts'

export type { StoredFd, Workspace, WorkspaceHooks, WorkspaceSettings } from './types.ts'

/**
 * Resolves once the workspace is there, or is known to be unusable, or after 3 s.
 *
 * @param owner that an earlier guestd has stored; `null`: the host has not set a session yet
 * @param ended receipt of an earlier stop of this session: the workspace is not touched; `null`: there was no stop
 */
export async function openWorkspace(
  settings: WorkspaceSettings,
  owner: Owner | null,
  stored: StoredFd,
  hooks: WorkspaceHooks,
  ended: Receipt | null,
): Promise<Workspace> {
  if (ended !== null) return endedWorkspace(settings, ended)
  const source = sourceOf(settings.workspace)
  if (source.kind === 'folder')
    return await openFolder(
      { ...settings, path: source.path, capBytes: settings.workspaceCapBytes },
      hooks.log,
      hooks.emit,
    )
  return await openDevice(source, settings, owner, stored, hooks)
}
