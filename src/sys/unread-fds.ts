/**
 * Descriptors that lie unread in a socket keep their file systems busy, and no process has them open: unix(7),
 * SCM_RIGHTS. Linux does not say which files they are, only how many.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Holder } from './holders.ts'

/** More names help no reader. */
const MAX_SOCKETS = 8
/** As long as the search for holders, beside which it runs. A machine with 10,000 descriptors takes a second. */
const LIMIT_MS = 5_000

/**
 * Processes that may keep a file system busy in this way, at most 8: one entry a process, such as
 * `{ name: 'acpid', pid: 12, how: 'fd 5 socket:[77] with 1 unread descriptor' }`. After 5 s it gives what it has found.
 * Sockets that no process has accepted yet are not seen.
 */
export async function findUnreadFds(): Promise<readonly Holder[]> {
  const deadline = performance.now() + LIMIT_MS
  const found: Holder[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    if (performance.now() > deadline || found.length === MAX_SOCKETS) break
    const how = await unreadOf(pid, deadline)
    if (how === null) continue
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')
    found.push({ pid: Number(pid), name: name.trim(), how })
  }
  return found
}

async function unreadOf(pid: string, deadline: number): Promise<string | null> {
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    if (performance.now() > deadline) return null
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
    if (!target.startsWith('socket:')) continue
    const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '')
    const count = Number(/^scm_fds:\s*(\d+)/m.exec(info)?.[1] ?? 0)
    if (count > 0)
      return `fd ${fd} ${target} with ${count} unread descriptor${count > 1 ? 's' : ''}`
  }
  return null
}
