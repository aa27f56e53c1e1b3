/** Who keeps a device or a file system busy: /proc of every process. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { numberOf } from './block-devices.ts'
import { statForeignFd } from './foreign-fd.ts'
import { createMountIds, type MountIds } from './mount-ids.ts'
import type { Mount } from './mounts.ts'

export interface Holder {
  readonly pid: number
  /** Its comm, proc(5). */
  readonly name: string
  /** How: `cwd`, `root`, `exe`, `fd 3 /path`, `mount namespace`, `device fd 3`. */
  readonly how: string
}

/** More names help nobody. */
const MAX_HOLDERS = 8
const IN_NAMESPACE = 'mount namespace'

/** A machine with 10,000 descriptors takes a second. */
const LIMIT_MS = 5_000
/** File systems with device files: they answer stat(2) at once. */
const HAVE_DEVICES = ['devtmpfs', 'tmpfs']

/**
 * Processes that use the device itself, or the file system on it, by its `MAJOR:MINOR`: at most 8,
 * one entry a process. The caller is not among them. It asks no file system, so a file system that does not answer, as of a
 * FUSE or NFS, cannot hold it. After 5 s it gives what it has found.
 *
 * @param onUnseen called for each process that the search did not come to by then
 */
export async function findHolders(
  number: string,
  onUnseen?: (pid: number) => void,
): Promise<readonly Holder[]> {
  const found: Holder[] = []
  /** Many processes may share one that has a copy of the mount: they come last. */
  const inNamespaces: Holder[] = []
  const mountIds = createMountIds()
  const deadline = performance.now() + LIMIT_MS
  const own = await readlink('/proc/self/ns/mnt').catch(() => '')
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  // The newest first: commands come after the services of a machine, and the kernel's threads come before them.
  for (const name of pids.toSorted((a, b) => Number(b) - Number(a))) {
    if (Number(name) === process.pid) continue
    if (performance.now() > deadline) {
      onUnseen?.(Number(name))
      continue
    }
    const used = await usedFile(name, number, mountIds, deadline)
    const how = used ?? (await otherNamespace(name, number, own, mountIds))
    if (how === null) continue
    const comm = await readFile(`/proc/${name}/comm`, 'utf8').catch(() => '?')
    const list = how === IN_NAMESPACE ? inNamespaces : found
    if (list.length < MAX_HOLDERS) list.push({ pid: Number(name), name: comm.trim(), how })
    if (found.length === MAX_HOLDERS) break
  }
  return [...found, ...inNamespaces].slice(0, MAX_HOLDERS)
}

/** `sleep (pid 12, cwd), dm-0` */
export function holderWords(holders: readonly Holder[], devices: readonly string[] = []): string {
  return [...devices, ...holders.map(({ pid, name, how }) => `${name} (pid ${pid}, ${how})`)].join(
    ', ',
  )
}

/** Whether it has a mount of the device in another namespace, which stays when ours is unmounted. */
async function otherNamespace(
  pid: string,
  number: string,
  own: string,
  mountIds: MountIds,
): Promise<string | null> {
  const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => own)
  if (namespace === own) return null
  const ours = await mountIds.mountsOf('self')
  const theirs = await mountIds.mountsOf(pid)
  const groups = ours
    .filter(({ device }) => device === number)
    .map(mount => parentOf(mount, ours)?.sharedIn ?? null)
  const holds = (mount: Mount) =>
    mount.device === number && !goesWithOurs(parentOf(mount, theirs), groups)
  return theirs.some(holds) ? IN_NAMESPACE : null
}

function parentOf({ parent }: Mount, mounts: readonly Mount[]): Mount | null {
  return mounts.find(({ id }) => id === parent) ?? null
}

/**
 * A copy in a namespace of a service, such as systemd-udevd's, is unmounted together with ours: its parent is a peer
 * or a slave of our mount's parent.
 */
function goesWithOurs(parent: Mount | null, groups: readonly (string | null)[]): boolean {
  return parent?.learnsFrom.some(group => groups.includes(group)) ?? false
}

/** How a process uses it; `null`: not by a file. */
async function usedFile(
  pid: string,
  number: string,
  mountIds: MountIds,
  deadline: number,
): Promise<string | null> {
  for (const link of ['cwd', 'root', 'exe']) {
    const target = await readlink(`/proc/${pid}/${link}`).catch(() => null)
    if (target === null) continue
    if ((await mountIds.mountAbove(pid, target))?.device === number) return link
  }
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    if (performance.now() > deadline) break
    const path = `/proc/${pid}/fd/${fd}`
    const target = await readlink(path).catch(() => '')
    // Pipes, sockets and the like are on no device.
    if (!target.startsWith('/') && !target.startsWith('(')) continue
    const mount = await mountIds.mountOf(pid, fd)
    if (mount === null) continue
    const isOnIt = mount.device === number
    if (isOnIt || (hasDevices(mount) && (await isDevice(pid, fd, number, mountIds))))
      return `fd ${fd} ${target}`
  }
  return null
}

const hasDevices = ({ type }: Mount) => HAVE_DEVICES.includes(type)

async function isDevice(
  pid: string,
  fd: string,
  number: string,
  mountIds: MountIds,
): Promise<boolean> {
  const stats = await statForeignFd(pid, fd, mountIds, hasDevices)
  return stats?.isBlockDevice() === true && numberOf(stats.rdev) === number
}
