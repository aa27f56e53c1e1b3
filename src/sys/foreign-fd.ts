/** A descriptor of another process, looked at without a call that its file system could leave unanswered. */
import { type BigIntStats, closeSync, fstatSync, openSync } from 'node:fs'
import type { MountIds } from './mount-ids.ts'
import type { Mount } from './mounts.ts'

/** open(2): the file is not opened itself. Node has no name for it. */
export const O_PATH = 0o10000000

/**
 * The process may put another file in the place of the descriptor at any time (dup2(2)). So the file is held first, and the
 * mount and the facts are those of what is held.
 *
 * @param mayAsk whether files on the mount may be asked; nothing else is
 * @returns `null` where it may not, or cannot be seen
 */
export async function statForeignFd(
  pid: string,
  fd: string,
  mountIds: MountIds,
  mayAsk: (mount: Mount) => boolean,
): Promise<BigIntStats | null> {
  const held = hold(`/proc/${pid}/fd/${fd}`)
  if (held === null) return null
  try {
    const mount = await mountIds.mountOf('self', String(held), pid)
    return mount !== null && mayAsk(mount) ? fstatSync(held, { bigint: true }) : null
  } finally {
    closeSync(held)
  }
}

function hold(path: string): number | null {
  try {
    return openSync(path, O_PATH)
  } catch {
    return null
  }
}
