/** The workspace of a session that was stopped before guestd started. guestd does not touch it. */

import { GuestdError } from '../errors.ts'
import type { Receipt } from '../protocol/schemas.ts'
import { sourceOf } from './source.ts'
import type { Workspace, WorkspaceSettings } from './types.ts'

export const ENDED = 'the session has been stopped'

/** @param receipt of its stop */
export function endedWorkspace(
  { workspace, workspaceMount, workspaceCapBytes }: WorkspaceSettings,
  receipt: Receipt,
): Workspace {
  const isFolder = sourceOf(workspace).kind === 'folder'
  const path = isFolder ? workspace : workspaceMount
  const refuse = () => {
    throw new GuestdError('stopped', ENDED)
  }
  return {
    path,
    state: () => ({
      path,
      ok: false,
      reason: ENDED,
      device: null,
      sessionId: null,
      capEnforcement: isFolder ? (workspaceCapBytes > 0 ? 'advisory' : 'none') : 'kernel',
      enforcedFor: isFolder ? 'none' : 'everyone',
      usage: null,
    }),
    code: () => 'stopped',
    largest: refuse,
    history: () => null,
    fullSince: () => null,
    admit: refuse,
    room: refuse,
    bind: refuse,
    flush: refuse,
    end: async () => receipt,
    endsWithinMs: 0,
  }
}
