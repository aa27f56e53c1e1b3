/** Keeps the last activity in the mark of a mounted volume. */
import type { WorkspaceHooks } from './types.ts'
import type { History } from './volume-history.ts'

/**
 * In milliseconds. Volumes expire after days, so an hour is exact enough, and costs 24 writes a day. A machine that is
 * lost loses at most this much activity.
 */
const EVERY_MS = 3_600_000

/** Smaller changes do not count, in milliseconds: the time is computed back from the present. */
const LEAST_CHANGE_MS = 1_000

export interface ActivityKeeper {
  /** No write starts after this call. The history's queue finishes a write in progress. */
  stop(): void
}

/**
 * Writes the last activity once an hour, if it has changed. A failed write is tried again an hour later and logged once:
 * a kernel may forbid writes to the device of a mounted file system.
 */
export function keepActivity(
  history: Pick<History, 'generation' | 'worked'>,
  { log, lastActivity }: Pick<WorkspaceHooks, 'log' | 'lastActivity'>,
  everyMs = EVERY_MS,
): ActivityKeeper {
  let written = lastActivity()
  let isLogged = false

  const write = async () => {
    const now = lastActivity()
    const changeMs = Date.parse(now.at) - Date.parse(written.at)
    if (now.byHost === written.byHost && changeMs < LEAST_CHANGE_MS) return
    try {
      await history.worked(now)
      written = now
    } catch (err) {
      if (!isLogged) log.warn({ err }, 'the last activity could not be written to the mark')
      isLogged = true
    }
  }
  // Without a generation there is no mark.
  const timer = history.generation === null ? undefined : setInterval(write, everyMs).unref()
  return { stop: () => clearInterval(timer) }
}
