/** The workspace: a folder, or an ext4 on a device that guestd mounts. */
import type { Log } from '../log.ts'
import type { Receipt, WorkspaceInfo, WorkspaceTop } from '../protocol/schemas.ts'
import { openFolder } from './folder.ts'
import type { History } from './history.ts'
import { openMounted, type StoredFd } from './mounted.ts'
import type { Owner } from './owner.ts'
import { sourceOf } from './source.ts'
import type { Report } from './steps.ts'

export type { StoredFd } from './mounted.ts'

export interface WorkspaceSettings {
  /** A folder, a block device, an image file, or `LABEL=name`. */
  readonly workspace: string
  /** Where a device is mounted. */
  readonly workspaceMount: string
  readonly user: string | number | null
  /** Whether it waits for {@link Workspace.bind}. */
  readonly requireSession: boolean
  /** How often is looked whether there is something to write out; 0: never. */
  readonly flushEveryMs: number
  /** For all of the end: flush, unmount, and what follows. */
  readonly flushLimitMs: number
}

export interface Workspace {
  readonly path: string
  state(): WorkspaceInfo
  /** @throws GuestdError `workspace_unavailable` */
  top(count: number): Promise<WorkspaceTop>
  /** Of the volume; `null` for a folder, or while there is none. */
  history(): History | null
  /** What was seen to have run out since then, of `performance.now()`; `null`: nothing. */
  fullSince(time: number): 'bytes' | 'inodes' | null
  /**
   * @param cwd absolute
   * @throws GuestdError `workspace_unavailable` where it is below the workspace, and that is not there
   */
  admit(cwd: string): void
  /**
   * Has it belong to the session; with `requireSession` it is mounted only now.
   *
   * @throws GuestdError `session_mismatch`: it belongs to another
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
  end(report: Report): Promise<Receipt>
  /** Longest time that the end takes, in milliseconds. */
  readonly endsWithinMs: number
}

/**
 * Resolves once the workspace is there, or is known not to be, or after 3 s.
 *
 * @param owner of a daemon before this one; `null`: nobody has said yet
 */
export async function openWorkspace(
  settings: WorkspaceSettings,
  owner: Owner | null,
  stored: StoredFd,
  log: Log,
): Promise<Workspace> {
  const source = sourceOf(settings.workspace)
  if (source.kind === 'folder') return openFolder({ ...settings, path: source.path }, log)
  const workspace = openMounted(source, settings, owner, stored, log)
  await workspace.attempted
  return workspace
}
