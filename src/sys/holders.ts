/** Who keeps a device or a file system busy: /proc of every process. */
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { numberOf } from './block-devices.ts'
import { listMounts } from './mounts.ts'

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

/**
 * Processes that use the device itself, or the file system on it, by its `MAJOR:MINOR`: at most 8,
 * one entry a process. The caller is not among them.
 */
export async function findHolders(number: string): Promise<readonly Holder[]> {
  const found: Holder[] = []
  /** Many processes may share one that has a copy of the mount: they come last. */
  const inNamespaces: Holder[] = []
  const own = await readlink('/proc/self/ns/mnt').catch(() => '')
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    const how = (await usedFiles(name, number)) ?? (await otherNamespace(name, number, own))
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

async function usedFiles(pid: string, number: string): Promise<string | null> {
  for (const link of ['cwd', 'root', 'exe']) {
    if (await isOn(`/proc/${pid}/${link}`, number)) return link
  }
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    const path = `/proc/${pid}/fd/${fd}`
    if (!(await isOn(path, number))) continue
    return `fd ${fd} ${await readlink(path).catch(() => '')}`.trim()
  }
  return null
}

async function isOn(path: string, number: string): Promise<boolean> {
  const stats = await stat(path, { bigint: true }).catch(() => null)
  if (stats === null) return false
  return numberOf(stats.isBlockDevice() ? stats.rdev : stats.dev) === number
}

async function otherNamespace(pid: string, number: string, own: string): Promise<string | null> {
  const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => own)
  if (namespace === own) return null
  try {
    const mounted = listMounts(Number(pid)).some(mount => mount.device === number)
    return mounted ? IN_NAMESPACE : null
  } catch {
    return null
  }
}
