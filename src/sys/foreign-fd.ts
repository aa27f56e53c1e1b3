/** Reads a descriptor of another process without a call to a file system that may not answer. */
import { type BigIntStats, closeSync, fstatSync, openSync } from 'node:fs'
import type { MountIds } from './mount-ids.ts'
import type { Mount } from './mounts.ts'

/** open(2): names the file without opening it. Node does not define it. */
export const O_PATH = 0o10000000

/**
 * The process may replace the file of the descriptor at any time (dup2(2)). So this opens the file with O_PATH first, and
 * reads the mount and the facts of that.
 *
 * @param mayAsk whether stat(2) of files on the mount is safe
 * @returns `null` when it is not safe, or when the descriptor cannot be read
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
