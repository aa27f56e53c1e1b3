/**
 * How full a folder is: the figure of the last walk. Walks are made when something changes, and from
 * time to time whatever happens; each is followed by a pause in proportion to what it took.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { GuestdError } from '../errors.ts'
import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { HelperError } from '../sys/helper.ts'
import { sizeWords } from '../volume/identify-devices.ts'
import { watchChanges } from './folder-changes.ts'
import { createLevels } from './fullness-levels.ts'
import type { Full, Usage } from './usage.ts'
import { type Walked, walkFolder } from './walk-folder.ts'

export interface FolderUsage {
  /** The last figure; `null` before the first. */
  readonly usage: Usage | null
  /** What was seen to have run out since then, of `performance.now()`. */
  fullSince(time: number): Full | null
  /**
   * Resolves where the folder is below its cap. A last figure that says it is not, or none, is replaced
   * by a new walk first, if that is done in 5 s.
   *
   * @throws GuestdError `workspace_full`
   */
  room(): Promise<void>
  stop(): void
}

/** A start is not held up by the first walk, unless a command comes. */
const FIRST_WALK_MS = 250
/** Writers seldom stop after one file. */
const SETTLE_MS = 100
/** After a walk there is none for this long, */
const LEAST_PAUSE_MS = 250
/** or for this many times its processor time: walks cost at most 5 % of a processor, */
const PAUSE_PER_CPU = 19
/** or of all that it took: a slow disk is left alone most of the time. */
const PAUSE_PER_TIME = 4
/** Of a folder whose changes are not told. */
const UNWATCHED_MS = 1_000
/** Of one whose changes are told: inotify(7) does not see writes to mapped files. */
const WATCHED_MS = 30_000
/** A walk of millions of files on a cold disk takes minutes. */
const WALK_LIMIT_MS = 10 * 60_000
/** A walk of 200,000 files takes a second, and one may be under way. */
const ROOM_LIMIT_MS = 5_000

export function watchFolderUsage(
  path: string,
  capBytes: number,
  log: Log,
  emit: Emit,
): FolderUsage {
  let usage: Usage | null = null
  /** What could not be read when it was last known to be past the cap: more of it later is no room. */
  let unreadWhenFull = 0
  /** Whether that is why it counts as full. */
  let isHidden = false
  /** When it was last known to be past the cap. */
  let fullAt = -1
  let running: Promise<void> | null = null
  let next: Promise<void> | null = null
  let mayWalkAt = 0
  /** Something changed while a walk was under way. */
  let isStale = false
  let dueAt = performance.now() + FIRST_WALK_MS
  let timer: NodeJS.Timeout | undefined
  let complaint = ''
  const stopped = new AbortController()
  const levels = createLevels(log, emit)

  const walkNow = async () => {
    const began = performance.now()
    isStale = false
    let walked: Walked | null = null
    try {
      walked = await walkFolder(path, { limitMs: WALK_LIMIT_MS, signal: stopped.signal })
      take(walked)
    } catch (error) {
      const reason = error instanceof HelperError ? error.message : String(error)
      if (!stopped.signal.aborted && reason !== complaint)
        log.warn({ path, reason }, 'the workspace could not be measured')
      complaint = reason
    }
    const now = performance.now()
    const pause = Math.max(
      LEAST_PAUSE_MS,
      (walked?.cpuMs ?? 0) * PAUSE_PER_CPU,
      (now - began) * PAUSE_PER_TIME,
    )
    mayWalkAt = now + pause
    if (walked !== null) changes.walked(walked.inodes)
    const idle = changes.isWatched ? WATCHED_MS : UNWATCHED_MS
    schedule(now + (isStale ? pause : Math.max(pause, idle)))
  }

  const take = ({ bytes, inodes, unread }: Walked) => {
    const isOver = bytes >= capBytes
    isHidden = !isOver && usage?.full === 'bytes' && unread > unreadWhenFull
    if (isOver) unreadWhenFull = unread
    usage = {
      usedBytes: bytes,
      availableBytes: Math.max(0, capBytes - bytes),
      capBytes,
      usedInodes: inodes,
      availableInodes: null,
      full: isOver || isHidden ? 'bytes' : null,
      at: new Date().toISOString(),
    }
    if (usage.full !== null) fullAt = performance.now()
    levels.take(usage)
    const words = unread === 0 ? '' : 'parts of the workspace cannot be read, and do not count'
    if (words !== '' && words !== complaint) log.warn({ path, unread, isHidden }, words)
    complaint = words
  }

  const walk = (): Promise<void> => {
    clearTimeout(timer)
    const walking = walkNow().finally(() => {
      running = null
    })
    running = walking
    return walking
  }

  /** One that runs may have passed what has changed since it began. */
  const look = (): Promise<void> => {
    if (running === null) return walk()
    next ??= running.then(() => {
      next = null
      return walk()
    })
    return next
  }

  const schedule = (at: number) => {
    if (stopped.signal.aborted) return
    dueAt = at
    clearTimeout(timer)
    timer = setTimeout(look, Math.max(0, at - performance.now())).unref()
  }

  const changed = () => {
    isStale = true
    const at = Math.max(mayWalkAt, performance.now() + SETTLE_MS)
    if (running === null && at < dueAt) schedule(at)
  }
  const changes = watchChanges(path, changed, log)
  schedule(dueAt)

  return {
    get usage() {
      return usage
    },
    fullSince(time) {
      if (usage?.full === 'bytes') fullAt = performance.now()
      return fullAt >= time ? 'bytes' : null
    },
    async room() {
      if (usage !== null && usage.full === null) return
      const limit = new AbortController()
      await Promise.race([look(), sleep(ROOM_LIMIT_MS, null, { signal: limit.signal })])
      limit.abort()
      if (usage === null || usage.full === null) return
      const { usedBytes, at } = usage
      const more = isHidden ? ' and what cannot be read any more' : ''
      const sizes = `${sizeWords(usedBytes)} of ${sizeWords(capBytes)}${more}`
      const detail = `the workspace ${path} holds ${sizes} (at ${at})`
      throw new GuestdError('workspace_full', detail)
    },
    stop() {
      stopped.abort()
      clearTimeout(timer)
      changes.stop()
    },
  }
}
