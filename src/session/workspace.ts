/**
 * The workspace: a folder, or an ext4 on a device that guestd mounts. One that cannot be had never
 * ends guestd: it is looked for again and again, and whoever needs it is told why it is not there.
 */
import { GuestdError } from '../errors.ts'
import type { Log } from '../log.ts'
import { prepareWorkspace, workspaceState } from './folder.ts'
import type { Receipt, Report } from './receipt.ts'
import { type Source, sourceOf } from './source.ts'
import { unavailable } from './unavailable.ts'
import { unmountVolume } from './unmount.ts'
import { mountVolume, type Volume } from './volume.ts'

export interface WorkspaceSettings {
  /** A folder, a block device, an image file, or `LABEL=name`. */
  readonly workspace: string
  /** Where a device is mounted. */
  readonly workspaceMount: string
  readonly user: string | number | null
  /** For all of the end: flush, unmount, and what follows. */
  readonly flushLimitMs: number
}

export interface WorkspaceState {
  readonly path: string
  readonly ok: boolean
  readonly reason: string | null
  /** The block device that it is on; `null` for a folder, or while there is none. */
  readonly device: string | null
}

export interface Workspace {
  readonly path: string
  state(): WorkspaceState
  /**
   * @param cwd absolute
   * @throws GuestdError `workspace_unavailable` where it is below the workspace, and that is not there
   */
  admit(cwd: string): void
  /**
   * The flush and the unmount, once nobody works there any more; one end however often asked.
   * `null` where there was nothing to unmount.
   */
  end(report: Report): Promise<Receipt | null>
  /** Longest time that the end takes, in milliseconds. */
  readonly endsWithinMs: number
}

/** A device that comes late, or that somebody mends, is seen this soon. */
const RETRY_MS = 2_000
/** A mount that takes longer, as of a long journal, goes on while guestd serves already. */
const START_WAIT_MS = 3_000

/** Of the steps after a flush that took all of its time, each has a few seconds still. */
const AFTER_FLUSH_MS = 60_000

/** Resolves once the workspace is there, or is known not to be, or after 3 s. */
export async function openWorkspace(settings: WorkspaceSettings, log: Log): Promise<Workspace> {
  const source = sourceOf(settings.workspace)
  if (source.kind === 'folder') return openFolder(source.path, settings.user, log)
  const workspace = openVolume(source, settings, log)
  await workspace.attempted
  return workspace
}

function openFolder(path: string, user: string | number | null, log: Log): Workspace {
  const made = () => log.warn({ path }, 'the workspace was missing, and has been made')
  const first = prepareWorkspace(path, user, made)
  if (!first.ok) log.error({ ...first }, 'the workspace is not there')
  // What is wrong with the folder is seen by the launch itself.
  return {
    path,
    state: () => workspaceState(path),
    admit: () => {},
    end: async () => null,
    endsWithinMs: 0,
  }
}

function openVolume(
  source: Exclude<Source, { kind: 'folder' }>,
  { workspaceMount: path, user, flushLimitMs }: WorkspaceSettings,
  log: Log,
): Workspace & { readonly attempted: Promise<unknown> } {
  let volume: Volume | null = null
  let reason = 'it is being mounted'
  let retry: NodeJS.Timeout | undefined
  let ended: Promise<Receipt | null> | null = null

  const mount = async () => {
    try {
      volume = await mountVolume({ source, path, user })
      const { takenOver, fresh } = volume
      log.info({ path, device: volume.device.path, takenOver, fresh }, 'the workspace is mounted')
    } catch (error) {
      const { message } = GuestdError.from(error)
      if (message !== reason) log.error({ path, reason: message }, 'the workspace is not there')
      reason = message
      if (ended === null) retry = setTimeout(tryToMount, RETRY_MS)
      retry?.unref()
    }
  }
  const tryToMount = () => {
    attempt = mount()
  }
  let attempt = mount()

  const end = async (report: Report): Promise<Receipt | null> => {
    clearTimeout(retry)
    await attempt
    if (volume === null) return null
    const mounted = volume
    volume = null
    reason = 'it is being unmounted'
    const receipt = await unmountVolume(mounted, { flushLimitMs }, report)
    reason = 'it has been unmounted'
    log[receipt.clean ? 'info' : 'error']({ ...receipt }, 'the workspace is unmounted')
    return receipt
  }

  return {
    path,
    attempted: Promise.race([
      attempt,
      new Promise(resolve => setTimeout(resolve, START_WAIT_MS).unref()),
    ]),
    state: () => ({
      path,
      ok: volume !== null,
      reason: volume === null ? reason : null,
      device: volume?.device.path ?? null,
    }),
    admit(cwd) {
      if (volume === null && isBelow(cwd, path))
        throw unavailable(`the workspace ${path}: ${reason}`)
    },
    end(report) {
      ended ??= end(report)
      return ended
    },
    endsWithinMs: flushLimitMs + AFTER_FLUSH_MS,
  }
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}
