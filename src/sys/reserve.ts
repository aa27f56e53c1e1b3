/** What all commands together leave to guestd and the system: limits of the cgroup that holds them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { dirname, join } from 'node:path'

export interface Reserve {
  readonly memoryBytes: number
  /** Processes and threads. */
  readonly pids: number
}

/** Of a very small machine commands still get most. */
export const MOST_RESERVED_SHARE = 1 / 3

/**
 * Limits `commandsPath`. Commands that use up all of the memory are ended by the kernel, the largest
 * first: without that, a machine out of memory spends minutes on reading code back from disk before
 * its OOM killer comes, and guestd does not answer in the meantime. A fork past the tasks fails with
 * EAGAIN. What cannot be written is left as it is: then the machine's own limits are what holds.
 *
 * @param own the cgroup that guestd was started in
 */
export function keepReserve(
  own: string,
  commandsPath: string,
  controllers: readonly string[],
  reserve: Reserve,
): void {
  const outer = withAncestors(own)
  if (controllers.includes('memory')) {
    write(join(commandsPath, 'memory.max'), leave(usableMemory(own), 0, reserve.memoryBytes))
  }
  if (controllers.includes('pids')) {
    const mine = numberIn(join(commandsPath, 'pids.current'), 0)
    const system = Math.min(
      numberIn('/proc/sys/kernel/pid_max'),
      numberIn('/proc/sys/kernel/threads-max'),
    )
    const limits = [
      leave(system, systemTasks() - mine, reserve.pids),
      ...outer.map(path =>
        leave(
          numberIn(join(path, 'pids.max')),
          numberIn(join(path, 'pids.current'), 0) - mine,
          reserve.pids,
        ),
      ),
    ]
    write(join(commandsPath, 'pids.max'), Math.min(...limits))
  }
}

/**
 * Memory of the machine, or what a cgroup around this process allows of it, v1 or v2, in bytes.
 *
 * @param own the cgroup v2 that this process is in; `null` where there is none
 */
export function usableMemory(own: string | null): number {
  // Of v1, and in a mount of v2 that is not the whole hierarchy: 0 where it is not known.
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY
  const outer = own === null ? [] : withAncestors(own)
  const limits = outer.map(path => numberIn(join(path, 'memory.max')))
  return Math.min(totalmem(), constrained, ...limits)
}

/**
 * What is left of `all` for commands.
 *
 * @param others what is in use now by what is no command
 */
export function leave(all: number, others: number, reserved: number): number {
  return Math.floor(Math.max(all - others - reserved, all * (1 - MOST_RESERVED_SHARE)))
}

/** The cgroup and those around it, as far as they can be seen; the root has no limits. */
function withAncestors(path: string): string[] {
  if (!existsSync(join(path, 'cgroup.procs'))) return []
  return [path, ...withAncestors(dirname(path))]
}

/** Tasks of the whole machine, threads of the kernel included: proc(5), /proc/loadavg. */
function systemTasks(): number {
  return Number(/\/(\d+) /.exec(readText('/proc/loadavg'))?.[1] ?? 0)
}

function numberIn(path: string, otherwise = Number.POSITIVE_INFINITY): number {
  const text = readText(path).trim()
  return /^\d+$/.test(text) ? Number(text) : otherwise
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function write(path: string, limit: number): void {
  if (!Number.isFinite(limit)) return
  try {
    writeFileSync(path, String(limit))
  } catch {
    // As the contract says.
  }
}
