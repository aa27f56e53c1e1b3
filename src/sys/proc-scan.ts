/** Searches through /proc of the other processes: proc(5). */
import { readdir, readFile } from 'node:fs/promises'

export interface ScanOptions {
  /** A `performance.now()` time: later processes are not searched. */
  readonly deadline: number
  /** Called for each process that is left at the deadline. */
  readonly onUnseen?: ((pid: number) => void) | undefined
  /** In the order of descending pids. Default: false. */
  readonly newestFirst?: boolean
}

/** The pids of all processes but this one, as text. */
export async function* otherProcesses(options: ScanOptions): AsyncGenerator<string> {
  const { deadline, onUnseen, newestFirst = false } = options
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  if (newestFirst) pids.sort((a, b) => Number(b) - Number(a))
  for (const pid of pids) {
    if (Number(pid) === process.pid) continue
    if (performance.now() > deadline) onUnseen?.(Number(pid))
    else yield pid
  }
}

/** The descriptors of a process, as text; none when they cannot be read. */
export function fdsOf(pid: string): Promise<readonly string[]> {
  return readdir(`/proc/${pid}/fd`).catch(() => [])
}

/** The facts of a descriptor, one on each line; an empty string when they cannot be read. */
export function fdInfo(pid: string, fd: string): Promise<string> {
  return readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '')
}

/** The name of a process; `?` when it cannot be read. */
export async function commOf(pid: string): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()
}
