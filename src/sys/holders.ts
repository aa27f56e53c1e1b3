/** Finds the processes that keep a device or a file system busy: /proc of each process. */
import { readlink } from 'node:fs/promises'
import { numberOf } from './block-devices.ts'
import { statForeignFd } from './foreign-fd.ts'
import { createMountIds, type MountIds } from './mount-ids.ts'
import type { Mount } from './mounts.ts'
import { commOf, fdsOf, otherProcesses } from './proc-scan.ts'

export interface Holder {
  readonly pid: number
  /** Its comm, proc(5). */
  readonly name: string
  /** How: `cwd`, `root`, `exe`, `fd 3 /path`, `mount namespace`, `device fd 3`. */
  readonly how: string
  /** It only has a copy of the mount, in another mount namespace. */
  readonly isMountNamespace: boolean
}

/** Names in a message. */
const MAX_HOLDERS = 8

/** 10,000 descriptors take about a second. */
const LIMIT_MS = 5_000
/** File systems with device files. They are in memory, so stat(2) never blocks. */
const HAVE_DEVICES = ['devtmpfs', 'tmpfs']

/**
 * Finds processes that use the device `MAJOR:MINOR` itself, or the file system on it: at most 8, one entry for each
 * process, without this one. It makes no call to a file system that may not answer, such as a FUSE or NFS. After 5 s it
 * returns the result so far.
 *
 * @param onUnseen called for each process that was not searched by then
 */
export async function findHolders(
  number: string,
  onUnseen?: (pid: number) => void,
): Promise<readonly Holder[]> {
  const found: Holder[] = []
  /** Many processes may share a namespace with a copy of the mount, so these come last. */
  const inNamespaces: Holder[] = []
  const mountIds = createMountIds()
  const deadline = performance.now() + LIMIT_MS
  const own = await readlink('/proc/self/ns/mnt').catch(() => '')
  // The newest first: commands are newer than the services of the machine and the threads of the kernel.
  for await (const pid of otherProcesses({ deadline, onUnseen, newestFirst: true })) {
    const used = await usedFile(pid, number, mountIds, deadline)
    const isMountNamespace = used === null && (await hasCopyOfMount(pid, number, own, mountIds))
    if (used === null && !isMountNamespace) continue
    const list = isMountNamespace ? inNamespaces : found
    const how = used ?? 'mount namespace'
    const name = await commOf(pid)
    if (list.length < MAX_HOLDERS) list.push({ pid: Number(pid), name, how, isMountNamespace })
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

/** Whether the process has a mount of the device in another namespace that stays mounted after ours is unmounted. */
async function hasCopyOfMount(
  pid: string,
  number: string,
  own: string,
  mountIds: MountIds,
): Promise<boolean> {
  const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => own)
  if (namespace === own) return false
  const ours = await mountIds.mountsOf('self')
  const theirs = await mountIds.mountsOf(pid)
  const groups = ours
    .filter(({ device }) => device === number)
    .map(mount => parentOf(mount, ours)?.sharedIn ?? null)
  const holds = (mount: Mount) =>
    mount.device === number && !goesWithOurs(parentOf(mount, theirs), groups)
  return theirs.some(holds)
}

function parentOf({ parent }: Mount, mounts: readonly Mount[]): Mount | null {
  return mounts.find(({ id }) => id === parent) ?? null
}

/**
 * Whether a copy is unmounted together with ours, as in the namespace of systemd-udevd: its parent is a peer or a slave
 * of the parent of our mount.
 */
function goesWithOurs(parent: Mount | null, groups: readonly (string | null)[]): boolean {
  return parent?.learnsFrom.some(group => groups.includes(group)) ?? false
}

/** How a process uses the device; `null` when it has no file of it open. */
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
  for (const fd of await fdsOf(pid)) {
    if (performance.now() > deadline) break
    const path = `/proc/${pid}/fd/${fd}`
    const target = await readlink(path).catch(() => '')
    // Pipes and sockets are not on a device.
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
