/**
 * Whether what a process has open is on one file system, without a call that asks that file system: a FUSE or
 * NFS that does not answer would hold stat(2) for ever, and with it a thread of the daemon.
 */
import { readFile, readlink } from 'node:fs/promises'
import { listMounts, type Mount } from './mounts.ts'

export interface MountIds {
  /**
   * The mount that a descriptor of a process is on; `null`: it cannot be seen, or has gone.
   *
   * @param among whose mounts are searched: a process. Default: `pid`
   */
  mountOf(pid: string, fd: string, among?: string): Promise<Mount | null>
  /** The mount that a path leads to, as the process sees it. */
  mountAbove(pid: string, path: string): Promise<Mount | null>
  /** All that the process sees. */
  mountsOf(pid: string): Promise<readonly Mount[]>
}

/** Of paths that are in another mount namespace than the reader (readlink(2) of /proc/PID/cwd). */
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
      // Of several at one place the last one is seen.
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
 * `MAJOR:MINOR` of the file system that a descriptor of this process is on, as mountinfo has it; st_dev is another
 * one on btrfs. `null` where /proc does not say.
 */
export async function deviceOf(fd: number): Promise<string | null> {
  const id = await mountIdOf('self', String(fd))
  return read('self').find(mount => mount.id === id)?.device ?? null
}

async function mountIdOf(pid: string, fd: string): Promise<string | null> {
  const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '')
  return /^mnt_id:\s*(\d+)/m.exec(info)?.[1] ?? null
}

/** Of a process that ends meanwhile there are none. */
function read(pid: string): readonly Mount[] {
  try {
    return listMounts(pid)
  } catch {
    return []
  }
}
