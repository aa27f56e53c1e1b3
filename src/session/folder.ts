/** The workspace as a plain folder: made when it is missing, looked at when somebody asks. */
import { chownSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { findUser } from '../sys/users.ts'
import type { WorkspaceState } from './workspace.ts'

/**
 * Makes a missing folder in one that is there, owned by the user that commands run as. What exists
 * is left as it is.
 *
 * @param made told when it was missing: a volume that was not mounted looks the same
 */
export function prepareWorkspace(
  path: string,
  user: string | number | null,
  made: () => void,
): WorkspaceState {
  try {
    if (!existsSync(path)) {
      mkdirSync(path)
      made()
      if (user !== null) {
        const { uid, gid } = findUser(user)
        chownSync(path, uid, gid)
      }
    }
  } catch {
    // What is wrong is told below, and again to whoever asks later.
  }
  return workspaceState(path)
}

export function workspaceState(path: string): WorkspaceState {
  try {
    if (statSync(path).isDirectory()) return { path, ok: true, reason: null, device: null }
    return { path, ok: false, reason: `${path} is not a directory`, device: null }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { path, ok: false, reason, device: null }
  }
}
