/** Keeps the last activity in the mark of a mounted volume. */
import type { History } from './volume-history.ts'
import type { WorkspaceHooks } from './workspace.ts'

/**
 * Volumes are told to be unused after days: an hour is near enough, and a volume is then written to
 * 24 times a day for it at most. A machine that is lost loses that hour.
 */
const EVERY_MS = 3_600_000

/** Below this it is the same, in milliseconds: it is reckoned back from the present. */
const LEAST_MOVE_MS = 1_000

/**
 * Writes it once an hour where it has moved. A write that fails is tried again an hour later, and told
 * once: a kernel may not let the device of a mounted file system be written at all.
 */
export function keepActivity(
  history: Pick<History, 'generation' | 'worked'>,
  { log, lastActivity }: Pick<WorkspaceHooks, 'log' | 'lastActivity'>,
  everyMs = EVERY_MS,
): { stop(): Promise<void> } {
  let written = lastActivity()
  let writing: Promise<void> = Promise.resolve()
  let told = false

  const write = async () => {
    const now = lastActivity()
    const moved = Date.parse(now.at) - Date.parse(written.at)
    if (now.byHost === written.byHost && moved < LEAST_MOVE_MS) return
    try {
      await history.worked(now)
      written = now
    } catch (err) {
      if (!told) log.warn({ err }, 'the mark could not be told of the last activity')
      told = true
    }
  }
  const timer = setInterval(() => {
    writing = write()
  }, everyMs).unref()
  // There is no mark to write to.
  if (history.generation === null) clearInterval(timer)

  return {
    async stop() {
      clearInterval(timer)
      await writing
    },
  }
}
