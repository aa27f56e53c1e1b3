/** Reports changes in a folder, by chokidar, as long as the folder is small and changes seldom. */
import { statSync } from 'node:fs'
import type { Log } from '../log.ts'
import { errorCode } from '../util/error-code.ts'
import { messageOf } from '../util/message-of.ts'
import type { FSWatcher } from './chokidar.ts'

export interface Changes {
  /** A change is reported now. */
  readonly isWatched: boolean
  /** To be called after each walk: begins or ends the watch. */
  walked(entries: number): void
  stop(): void
}

/**
 * The largest tree that is watched, in files and folders. chokidar reads all of it first and keeps the names: about
 * 10 KiB of memory and 0.1 ms of the event loop each, and an inotify watch per folder. A walk of a larger tree costs the
 * daemon nothing.
 */
const MOST_ENTRIES = 1_000
/**
 * The most inotify events between two walks, which are at least 250 ms apart. Each costs about 0.2 ms of the event loop,
 * so more of them cost more than walks.
 */
const MOST_NOTICES = 100
/** How long a tree that changes often is not watched, in milliseconds. */
const REST_MS = 10_000
/**
 * How long a tree is not watched in which chokidar finds more entries than the walk, in milliseconds. The walk stays on
 * one mount; chokidar leaves out only mounts of other devices, and so enters bind mounts.
 */
const LARGE_REST_MS = 60_000
/** How an event of chokidar changes the number of files and folders. */
const CHANGE_OF: Readonly<Record<string, number>> = { add: 1, addDir: 1, unlink: -1, unlinkDir: -1 }
/** The limits of inotify(7), on watches and on instances, are reached. They seldom change. */
const EXHAUSTED = ['ENOSPC', 'EMFILE']

/** @param changed called for each change, and once when the watch begins, as earlier changes were not seen */
export function watchChanges(path: string, changed: () => void, log: Log): Changes {
  let watcher: FSWatcher | null = null
  let isReady = false
  let isStopped = false
  let isExhausted = false
  let notices = 0
  let restsUntil = 0

  const end = () => {
    const ending = watcher
    watcher = null
    isReady = false
    void ending?.close()
  }
  const rest = (ms: number) => {
    restsUntil = performance.now() + ms
    end()
    changed()
  }
  const failed = (error: unknown) => {
    if (!EXHAUSTED.includes(errorCode(error)))
      return log.debug({ err: error }, 'the watch of the workspace')
    end()
    if (isExhausted) return
    isExhausted = true
    const reason = messageOf(error)
    log.warn({ path, reason }, 'the workspace cannot be watched: its usage is only walked')
  }
  const begin = async () => {
    isReady = false
    notices = 0
    // Prevents a second watch during the import.
    restsUntil = performance.now() + REST_MS
    const begun = await openWatcher(path, () => isStopped)
    if (begun === null) return
    let entries = 0
    watcher = begun
    begun.on('error', failed)
    begun.on('ready', () => {
      isReady = watcher === begun
      if (isReady) changed()
    })
    begun.on('all', event => {
      if (watcher !== begun) return
      entries += CHANGE_OF[event] ?? 0
      if (isReady) changed()
      if (entries <= MOST_ENTRIES) return
      log.debug({ path }, 'the workspace is too large to be watched')
      rest(isReady ? REST_MS : LARGE_REST_MS)
    })
    begun.on('raw', () => {
      notices += 1
      if (notices > MOST_NOTICES && watcher === begun) rest(REST_MS)
    })
  }

  return {
    get isWatched() {
      return isReady
    },
    walked(entries) {
      notices = 0
      if (entries > MOST_ENTRIES) return end()
      const mayBegin = watcher === null && !isExhausted && !isStopped
      if (mayBegin && performance.now() >= restsUntil) begin().catch(failed)
    },
    stop() {
      isStopped = true
      end()
    },
  }
}

/** @returns `null`: it was stopped during the import */
async function openWatcher(path: string, isStopped: () => boolean): Promise<FSWatcher | null> {
  const { watch } = await import('./chokidar.ts')
  if (isStopped()) return null
  const { dev } = statSync(path)
  return watch(path, {
    // On an overlay, files have other devices than folders.
    ignored: (_path, stats) => stats?.isDirectory() === true && stats.dev !== dev,
    followSymlinks: false,
    ignorePermissionErrors: true,
    atomic: false,
    persistent: false,
  })
}
