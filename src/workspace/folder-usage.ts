/** Measures how full a folder is, and refuses commands while it is over its cap. */
import { GuestdError } from '../errors.ts'
import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../util/message-of.ts'
import { sleep } from '../util/sleep.ts'
import { sizeText } from '../volume/size-text.ts'
import { watchChanges } from './folder-changes.ts'
import { createFolderFigure, type FolderFigure } from './folder-figure.ts'
import { createLevels } from './fullness-levels.ts'
import type { Full, Usage } from './usage.ts'
import { walkFolder } from './walk-folder.ts'
import { createWalkSchedule, type WalkCost } from './walk-schedule.ts'

export interface FolderUsage {
  /** The figure of the last walk; `null`: before the first one. */
  readonly usage: Usage | null
  /**
   * What has run out since then; `null`: nothing was seen.
   *
   * @param time a `performance.now()` time
   */
  fullSince(time: number): Full | null
  /**
   * Resolves if the folder is below its cap. If the last figure says that it is not, or is missing, a new walk replaces
   * it first, if that ends within 5 s.
   *
   * @throws GuestdError `workspace_full`
   */
  room(): Promise<void>
  stop(): void
}

/** Time between walks of a folder without change events, in milliseconds. */
const UNWATCHED_MS = 1_000
/** Time between walks of a folder with change events, in milliseconds: inotify(7) misses writes to mapped files. */
const WATCHED_MS = 30_000
/** A walk of millions of files on a cold disk takes minutes. In milliseconds. */
const WALK_LIMIT_MS = 10 * 60_000
/** A walk of 200,000 files takes a second, and another one may be under way. In milliseconds. */
const ROOM_LIMIT_MS = 5_000

export function watchFolderUsage(
  path: string,
  capBytes: number,
  log: Log,
  emit: Emit,
): FolderUsage {
  const figure = createFolderFigure(capBytes)
  const levels = createLevels(log, emit)
  const stopped = new AbortController()
  const logProblem = createProblemLog(path, log)

  const walkOnce = async (): Promise<WalkCost> => {
    let cpuMs = 0
    try {
      const walked = await walkFolder(path, { limitMs: WALK_LIMIT_MS, signal: stopped.signal })
      cpuMs = walked.cpuMs
      levels.take(figure.take(walked))
      const { unread } = walked
      const { isHidden } = figure
      const problem =
        unread === 0 ? null : 'parts of the workspace cannot be read, and do not count'
      logProblem(problem, { unread, isHidden })
      changes.walked(walked.inodes)
    } catch (error) {
      const reason = messageOf(error)
      if (!stopped.signal.aborted) logProblem('the workspace could not be measured', { reason })
    }
    return { cpuMs, idleMs: changes.isWatched ? WATCHED_MS : UNWATCHED_MS }
  }
  const schedule = createWalkSchedule(walkOnce)
  const changes = watchChanges(path, schedule.changed, log)

  return {
    get usage() {
      return figure.usage
    },
    fullSince: figure.fullSince,
    async room() {
      const { usage } = figure
      if (usage !== null && usage.full === null) return
      const limit = new AbortController()
      const late = sleep(ROOM_LIMIT_MS, { signal: limit.signal }).catch(() => {})
      await Promise.race([schedule.walk(), late])
      limit.abort()
      checkRoom(path, figure)
    },
    stop() {
      stopped.abort()
      schedule.stop()
      changes.stop()
    },
  }
}

/** @throws GuestdError `workspace_full` */
function checkRoom(path: string, { usage, isHidden }: FolderFigure): void {
  if (usage === null || usage.full === null) return
  const { usedBytes, capBytes, at } = usage
  const more = isHidden ? ' and what cannot be read any more' : ''
  const sizes = `${sizeText(usedBytes)} of ${sizeText(capBytes)}${more}`
  throw new GuestdError('workspace_full', `the workspace ${path} holds ${sizes} (at ${at})`)
}

/** Logs a problem when it begins or changes, and not at each walk. */
function createProblemLog(path: string, log: Log) {
  let last: string | null = null
  return (problem: string | null, facts: Readonly<Record<string, unknown>>) => {
    const key = problem === null ? null : `${problem} ${facts.reason ?? ''}`
    if (problem !== null && key !== last) log.warn({ path, ...facts }, problem)
    last = key
  }
}
