/** The file descriptor of the workspace, stored with the service manager over a restart of guestd. */
import type { Notifier } from '../sys/notify.ts'
import { WORKSPACE_FD_NAME } from '../util/listen-uri.ts'
import type { StoredFd } from '../workspace/workspace.ts'

export function createStoredFd(
  notifier: Notifier,
  stored: Readonly<Record<string, number>>,
): StoredFd {
  return {
    fd: stored[WORKSPACE_FD_NAME] ?? null,
    keep: fd => void notifier.storeFd(WORKSPACE_FD_NAME, fd),
    async drop(limitMs) {
      if (!notifier.present) return
      notifier.dropFd(WORKSPACE_FD_NAME)
      await notifier.barrier(limitMs)
    },
  }
}
