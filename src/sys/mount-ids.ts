/**
 * Whether what a process has open is on one file system, without a call that asks that file system: a FUSE or
 * NFS that does not answer would hold stat(2) for ever, and with it a thread of the daemon.
 */
import { readFile, readlink } from 'node:fs/promises'
import { listMounts, type Mount } from './mounts.ts'

export interface MountIds {
  /** `null`: it cannot be seen, or has gone. */
  isOn(pid: string, fd: string): Promise<boolean | null>
  /** The mounts of the file system that the process sees. */
  mountsOf(pid: string): Promise<readonly Mount[]>
}

/** @param number `MAJOR:MINOR` of the file system's device. Each mount namespace is read once */
export function createMountIds(number: string): MountIds {
  const known = new Map<string, readonly Mount[]>()

  const mountsOf = async (pid: string) => {
    const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => null)
    if (namespace === null) return []
    const mounts = known.get(namespace) ?? read(pid)
    known.set(namespace, mounts)
    return mounts.filter(({ device }) => device === number)
  }

  return {
    mountsOf,
    async isOn(pid, fd) {
      const id = await mountIdOf(pid, fd)
      if (id === null) return null
      return (await mountsOf(pid)).some(mount => mount.id === id)
    },
  }
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
