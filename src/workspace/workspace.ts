/** The workspace: a folder, or an ext4 on a device that guestd mounts. */

import type { Emit } from '../events/event-log.ts'
import type { Report } from '../events/steps.ts'
import type { Log } from '../log.ts'
import type {
  ReasonCode,
  Receipt,
  StopReason,
  WorkspaceInfo,
  WorkspaceLargest,
} from '../protocol/schemas.ts'
import type { ActivityTime } from '../volume/activity-time.ts'
import type { Owner } from '../volume/owner.ts'
import type { RetentionSettings } from '../volume/retention.ts'
import { openMounted, type StoredFd } from './device-workspace.ts'
import { openFolder } from './folder-workspace.ts'
import { sourceOf } from './source.ts'
import { endedWorkspace } from './stopped-workspace.ts'
import type { History } from './volume-history.ts'

export type { StoredFd } from './device-workspace.ts'

export interface WorkspaceSettings extends RetentionSettings {
  /** A folder, a block device, an image file, or `LABEL=name`. */
  readonly workspace: string
  /** Of a folder; 0: none. */
  readonly workspaceCapBytes: number
  /** Where a device is mounted. */
  readonly workspaceMount: string
  readonly user: string | number | null
  /** Whether it waits for {@link Workspace.bind}. */
  readonly requireSession: boolean
  /** Whether a blank device or image gets a file system. */
  readonly formatBlank: boolean
  /** How often is looked whether there is something to write out; 0: never. */
  readonly flushEveryMs: number
  /** For all of the end: flush, unmount, and what follows. */
  readonly flushLimitMs: number
}

/** What a workspace needs from the session that it belongs to. */
export interface WorkspaceHooks {
  readonly log: Log
  readonly emit: Emit
  /** When work last ended, or now while any goes on. */
  lastActivity(): ActivityTime
  now(): ActivityTime
  /** Never later than the host's time where that is known: for decisions that delete data. */
  earliest(): ActivityTime
}

/** Of the workspace alone. */
export type LargestEntries = Omit<WorkspaceLargest, 'memory'>

export interface Workspace {
  readonly path: string
  state(): WorkspaceInfo
  /** Why it cannot be used, as a code; `null`: it can. */
  code(): ReasonCode | null
  /** @throws GuestdError `workspace_unavailable` */
  largest(count: number): Promise<LargestEntries>
  /** Of the volume; `null` for a folder, or while there is none. */
  history(): History | null
  /** What was seen to have run out since then, of `performance.now()`; `null`: nothing. */
  fullSince(time: number): 'bytes' | 'inodes' | null
  /**
   * @param cwd absolute
   * @throws GuestdError `workspace_unavailable` where it is below the workspace, and that is not there;
   * `session_mismatch` wherever it is, once the host has said another session than the one that has it
   */
  admit(cwd: string): void
  /**
   * Resolves where there is room for one more command, by a figure that is not older than the call
   * where that could be had in some seconds.
   *
   * @throws GuestdError `workspace_full`
   */
  room(): Promise<void>
  /**
   * Has it belong to the session; with `requireSession` it is mounted only now.
   *
   * @throws GuestdError `session_mismatch`: it belongs to another, and one that was mounted already takes
   * no commands until its own is said
   */
  bind(owner: Owner): Promise<void>
  /**
   * Makes durable all that was written before.
   *
   * @throws GuestdError `workspace_unavailable`
   */
  flush(): Promise<Receipt>
  /**
   * The flush and the unmount, once nobody works there any more. To be called once; never fails:
   * what went wrong stands in the receipt.
   */
  end(report: Report, reason: StopReason): Promise<Receipt>
  /** Longest time that the end takes, in milliseconds. */
  readonly endsWithinMs: number
}

/**
 * Resolves once the workspace is there, or is known not to be, or after 3 s.
 *
 * @param owner of a daemon before this one; `null`: nobody has said yet
 * @param ended the session was stopped before: the workspace is not touched; `null`: it was not
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
  const workspace = openMounted(source, settings, owner, stored, hooks)
  await workspace.attempted
  return workspace
}
