/**
 * Descriptors that were sent to a socket but not received (unix(7), SCM_RIGHTS). They keep their file systems busy,
 * although no process has them open. Linux reports their number, not their files.
 */
import { readlink } from 'node:fs/promises'
import type { Holder } from './holders.ts'
import { commOf, fdInfo, fdsOf, otherProcesses } from './proc-scan.ts'

/** Names in a message. */
const MAX_SOCKETS = 8
/** The limit of `findHolders`, which runs at the same time. 10,000 descriptors take about a second. */
const LIMIT_MS = 5_000

/**
 * Processes with such a socket, at most 8, one entry for each process, such as
 * `{ name: 'acpid', pid: 12, how: 'fd 5 socket:[77] with 1 unread descriptor' }`. After 5 s it returns the result so
 * far. It does not find sockets of connections that are not accepted yet.
 */
export async function findUnreadFds(): Promise<readonly Holder[]> {
  const deadline = performance.now() + LIMIT_MS
  const found: Holder[] = []
  for await (const pid of otherProcesses({ deadline })) {
    const how = await unreadOf(pid, deadline)
    if (how === null) continue
    const name = await commOf(pid)
    found.push({ pid: Number(pid), name, how, isMountNamespace: false })
    if (found.length === MAX_SOCKETS) break
  }
  return found
}

async function unreadOf(pid: string, deadline: number): Promise<string | null> {
  for (const fd of await fdsOf(pid)) {
    if (performance.now() > deadline) return null
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')
    if (!target.startsWith('socket:')) continue
    const count = Number(/^scm_fds:\s*(\d+)/m.exec(await fdInfo(pid, fd))?.[1] ?? 0)
    if (count > 0)
      return `fd ${fd} ${target} with ${count} unread descriptor${count > 1 ? 's' : ''}`
  }
  return null
}
