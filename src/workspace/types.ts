/** What the parts of a workspace agree on. */

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
import type { BlockDevice } from '../sys/block-devices.ts'
import type { ActivityTime } from '../volume/activity-time.ts'
import type { Owner } from '../volume/owner.ts'
import type { RetentionSettings } from '../volume/retention.ts'
import type { Image } from './image-file.ts'
import type { Source } from './source.ts'
import type { History } from './volume-history.ts'

export interface WorkspaceSettings extends RetentionSettings {
  /** A folder, a block device, an image file, or `LABEL=name`. */
  readonly workspace: string
  /** Cap of a folder, in bytes; 0: none. */
  readonly workspaceCapBytes: number
  /** Where a device is mounted. */
  readonly workspaceMount: string
  readonly user: string | number | null
  /** The volume is mounted only after {@link Workspace.bind}. */
  readonly requireSession: boolean
  /** A blank device or image gets a file system. */
  readonly formatBlank: boolean
  /** How often guestd looks for dirty pages to write out, in milliseconds; 0: never. */
  readonly flushEveryMs: number
  /** Limit of a flush, in milliseconds. The stop has some seconds more: `stop-budget.ts`. */
  readonly flushLimitMs: number
}

/** What a workspace needs from the session that it belongs to. */
export interface WorkspaceHooks {
  readonly log: Log
  readonly emit: Emit
  /** When work last ended, or now while there is work. */
  lastActivity(): ActivityTime
  now(): ActivityTime
  /** Never later than the host's time, if that is known: for decisions that delete data. */
  earliest(): ActivityTime
}

/** What takes the space of the workspace alone. */
export type LargestEntries = Omit<WorkspaceLargest, 'memory'>

export interface Workspace {
  readonly path: string
  state(): WorkspaceInfo
  /** Why it cannot be used; `null`: it can. */
  code(): ReasonCode | null
  /** @throws GuestdError `workspace_unavailable` */
  largest(count: number): Promise<LargestEntries>
  /** Of the volume; `null` for a folder, and before the first mount. */
  history(): History | null
  /**
   * What has run out since then; `null`: nothing was seen.
   *
   * @param time a `performance.now()` time
   */
  fullSince(time: number): 'bytes' | 'inodes' | null
  /**
   * @param cwd absolute
   * @throws GuestdError `workspace_unavailable` if it is below a workspace that cannot be used; `session_mismatch`
   *   for every path, if the volume belongs to a session other than the host's
   */
  admit(cwd: string): void
  /**
   * Resolves if there is room for one more command. The figure is measured after the call, unless that takes longer
   * than 5 s.
   *
   * @throws GuestdError `workspace_full`
   */
  room(): Promise<void>
  /**
   * Assigns the volume to the session. With `requireSession` it is mounted only now.
   *
   * @throws GuestdError `session_mismatch`: it belongs to another session. If it was mounted already, it takes no
   *   commands until its own session is set
   */
  bind(owner: Owner): Promise<void>
  /**
   * Makes everything durable that was written before the call.
   *
   * @throws GuestdError `workspace_unavailable`
   */
  flush(): Promise<Receipt>
  /** Flushes and unmounts, after the commands have ended. To be called once. Never fails: the receipt has the errors. */
  end(report: Report, reason: StopReason): Promise<Receipt>
  /** Longest time that {@link Workspace.end} takes, in milliseconds. */
  readonly endsWithinMs: number
}

/** Keeps the held descriptor over a restart of guestd, as a service manager does. */
export interface StoredFd {
  /** The descriptor of an earlier guestd; `null`: none. */
  readonly fd: number | null
  keep(fd: number): void
  /** Resolves once nothing is kept any more, or after the limit. */
  drop(limitMs: number): Promise<void>
}

/** A mounted volume. */
export interface Volume {
  readonly device: BlockDevice
  /** Of an image file, whose loop device is detached at the end; `null`: it is a device. */
  readonly image: Image | null
  readonly path: string
  /**
   * Open on the root of the file system while it is mounted: syncfs(2) returns a failed write once, and only on a
   * descriptor that was open before it.
   */
  readonly fd: number
  /** An earlier guestd has mounted it. */
  readonly takenOver: boolean
  /** `restart`: errors from before this guestd are not known. */
  readonly errorsSince: 'mount' | 'restart'
  /** It held nothing but lost+found. */
  readonly fresh: boolean
  /** Where the file system ends, and its mark begins. */
  readonly bytes: number
  /** Size of its folder lost+found, in bytes; 0: there is none. */
  readonly ownBytes: number
  /** It has blocks that only root may use. */
  readonly hasReserve: boolean
  readonly history: History
}

export interface VolumeSettings extends RetentionSettings {
  readonly source: Exclude<Source, { kind: 'folder' }>
  /** Where it is mounted. It is created if it is missing. */
  readonly path: string
  /** Gets the root folder of a fresh file system; `null`: guestd's own user. */
  readonly user: string | number | null
  /** The descriptor of an earlier guestd, if the service manager has kept it; `null`: none. */
  readonly storedFd: number | null
  /** A blank device or image gets a file system. */
  readonly formatBlank: boolean
  /** A volume is refused unless it is known to belong to the session. */
  readonly requireSession: boolean
  /** The session that will own it; `null`: not known yet. */
  readonly owner: Owner | null
  now(): ActivityTime
  /** Never later than the host's time, if that is known: it decides whether a volume has expired. */
  earliest(): ActivityTime
  /** Aborted when guestd stops: a check that runs is cancelled. */
  readonly cancel: AbortSignal
}
