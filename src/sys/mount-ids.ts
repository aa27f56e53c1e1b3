/**
 * Finds the mount of a descriptor or path without a call to its file system: a FUSE or NFS that does not answer would
 * block stat(2), and a thread of the daemon with it, without limit.
 */
import { readlink } from 'node:fs/promises'
import { listMounts, type Mount } from './mounts.ts'
import { fdInfo } from './proc-scan.ts'

export interface MountIds {
  /**
   * The mount of a descriptor of a process; `null` when it cannot be seen, or is gone.
   *
   * @param among the process whose mounts are searched. Default: `pid`
   */
  mountOf(pid: string, fd: string, among?: string): Promise<Mount | null>
  /** The mount of a path in the mount namespace of the process. */
  mountAbove(pid: string, path: string): Promise<Mount | null>
  /** All mounts in the mount namespace of the process. */
  mountsOf(pid: string): Promise<readonly Mount[]>
}

/** Prefix of a path that the reader cannot reach, as in another mount namespace (readlink(2) of /proc/PID/cwd). */
const UNREACHABLE = '(unreachable)'

/** Each mount namespace is read once. */
export function createMountIds(): MountIds {
  const known = new Map<string, readonly Mount[]>()

  const mountsOf = async (pid: string) => {
    const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => null)
    if (namespace === null) return []
    const mounts = known.get(namespace) ?? read(pid)
    known.set(namespace, mounts)
    return mounts
  }

  return {
    mountsOf,
    async mountOf(pid, fd, among = pid) {
      const id = await mountIdOf(pid, fd)
      return (await mountsOf(among)).find(mount => mount.id === id) ?? null
    },
    async mountAbove(pid, path) {
      const within = path.startsWith(UNREACHABLE) ? path.slice(UNREACHABLE.length) : path
      const above = (await mountsOf(pid)).filter(({ at }) => isIn(within, at))
      // The last mount on a folder hides the earlier ones.
      return above.reduce<Mount | null>(
        (best, mount) => (mount.at.length >= (best?.at.length ?? 0) ? mount : best),
        null,
      )
    },
  }
}

function isIn(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`)
}

/**
 * `MAJOR:MINOR` of the file system of a descriptor of this process, from mountinfo: on btrfs st_dev differs from it.
 * `null` when /proc does not contain it.
 */
export async function deviceOf(fd: number): Promise<string | null> {
  const id = await mountIdOf('self', String(fd))
  return read('self').find(mount => mount.id === id)?.device ?? null
}

async function mountIdOf(pid: string, fd: string): Promise<string | null> {
  return /^mnt_id:\s*(\d+)/m.exec(await fdInfo(pid, fd))?.[1] ?? null
}

/** Empty when the process has exited. */
function read(pid: string): readonly Mount[] {
  try {
    return listMounts(pid)
  } catch {
    return []
  }
}
