/** Tells when something changes in a folder, by chokidar, as long as the folder is small and calm. */
import { statSync } from 'node:fs'
import type { Log } from '../log.ts'
import { messageOf } from '../util/message-of.ts'
import type { FSWatcher } from './chokidar.ts'

export interface Changes {
  /** Whether a change would be told now. */
  readonly isWatched: boolean
  /** To be called after each walk: begins or ends the watch. */
  walked(entries: number): void
  stop(): void
}

/**
 * The largest tree that is watched, in files and folders. chokidar reads all of it first and keeps the
 * names: some 10 KiB of memory and 0.1 ms of the event loop for each, and an inotify watch for each
 * folder. A walk of a larger one costs the daemon nothing.
 */
const MOST_ENTRIES = 1_000
/**
 * More notices of inotify than these between two walks, which are 250 ms apart at least, and telling them
 * costs more than walks do: some 0.2 ms of the event loop each.
 */
const MOST_NOTICES = 100
/** A tree that was not calm is watched again after this long. */
const REST_MS = 10_000
/**
 * The walk stays on the mount, chokidar leaves out only mounts of another device: a tree that holds more than
 * the walk has counted, as by a bind mount, is not tried again before this long.
 */
const LARGE_REST_MS = 60_000
/** How a notice of chokidar changes the number of files and folders. */
const CHANGE_OF: Readonly<Record<string, number>> = { add: 1, addDir: 1, unlink: -1, unlinkDir: -1 }
/** The limits of inotify(7), on watches and on instances: nothing mends them soon. */
const EXHAUSTED = ['ENOSPC', 'EMFILE']

/** @param changed called for each change, and once when the watch begins: what came before was not seen */
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

  const failed = (error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!EXHAUSTED.includes(code)) return log.debug({ err: error }, 'the watch of the workspace')
    end()
    if (isExhausted) return
    isExhausted = true
    const reason = messageOf(error)
    log.warn({ path, reason }, 'the workspace cannot be watched: its usage is only walked')
  }

  const begin = async () => {
    isReady = false
    notices = 0
    // Nobody else begins one meanwhile.
    restsUntil = performance.now() + REST_MS
    const { watch } = await import('./chokidar.ts')
    if (isStopped) return
    const { dev } = statSync(path)
    let entries = 0
    const begun = watch(path, {
      // Files of an overlay are on other devices than its folders.
      ignored: (_path, stats) => stats?.isDirectory() === true && stats.dev !== dev,
      followSymlinks: false,
      ignorePermissionErrors: true,
      atomic: false,
      persistent: false,
    })
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
      restsUntil = performance.now() + (isReady ? REST_MS : LARGE_REST_MS)
      end()
      changed()
    })
    begun.on('raw', () => {
      notices += 1
      if (notices <= MOST_NOTICES || watcher !== begun) return
      end()
      restsUntil = performance.now() + REST_MS
      changed()
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
