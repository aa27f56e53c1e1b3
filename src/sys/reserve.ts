/** The reserve of guestd and the system: limits of the cgroup of all commands. */
import { existsSync, writeFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { readText } from './read-text.ts'

export interface Reserve {
  readonly memoryBytes: number
  /** Processes and threads. */
  readonly pids: number
}

/** On a very small machine the reserve is at most this share. */
export const MOST_RESERVED_SHARE = 1 / 3
/**
 * This share of the reserve is taken from the limit of the other commands and kept for those of root. 36 MiB of 288 MiB
 * are enough for a shell that cleans up while other commands use all of their memory.
 */
const RESCUE_SHARE = 1 / 8
/** Largest protected share of the machine's memory for guestd's own cgroup; the same as `MemoryMin` of its unit. */
const MOST_PROTECTED_SHARE = 1 / 4

export interface LimitedCgroups {
  /** The cgroup around the other one and that of root's commands. */
  readonly all: string
  /** The cgroup of all commands but those of root. */
  readonly ordinary: string
}

/**
 * Limits both cgroups. When commands use all of the memory, the kernel kills the largest. Without the limit a machine
 * without memory reads code from disk again and again for minutes before its OOM killer runs, and guestd does not
 * respond. A fork above the limit of tasks fails with EAGAIN. A limit that cannot be written is skipped: the limits of
 * the machine apply then.
 *
 * @param own the cgroup that guestd was started in
 */
export function keepReserve(
  own: string,
  { all, ordinary }: LimitedCgroups,
  controllers: readonly string[],
  reserve: Reserve,
): void {
  const outer = withAncestors(own)
  if (controllers.includes('memory')) {
    const usable = usableMemory(own)
    const most = leave(usable, 0, reserve.memoryBytes)
    write(join(all, 'memory.max'), most)
    write(join(ordinary, 'memory.max'), withoutRescue(most, usable - most))
  }
  if (controllers.includes('pids')) {
    const mine = numberIn(join(all, 'pids.current'), 0)
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
    const most = Math.min(...limits)
    write(join(all, 'pids.max'), most)
    write(join(ordinary, 'pids.max'), withoutRescue(most, reserve.pids))
  }
}

/** The limit of all commands but those of root. @param most the limit of all commands @param reserved the reserve */
export function withoutRescue(most: number, reserved: number): number {
  return most - Math.floor(Math.min(reserved, most) * RESCUE_SHARE)
}

/**
 * Protects the memory of guestd itself from reclaim, as far as the cgroups around it are protected. Otherwise kernel
 * memory that no cgroup counts can evict its code.
 *
 * @param own the cgroup that guestd was started in
 * @param leaf the cgroup below it that guestd is in
 */
export function protect(own: string, leaf: string, { memoryBytes }: Reserve): void {
  if (!existsSync(leaf)) return
  const most = Math.floor(usableMemory(own) * MOST_PROTECTED_SHARE)
  const protectedBytes = Math.min(memoryBytes, most)
  write(join(leaf, 'memory.min'), protectedBytes)
  // With memory_recursiveprot a higher value would protect the memory of the commands too.
  const around = join(own, 'memory.min')
  if (numberIn(around, 0) > protectedBytes) write(around, protectedBytes)
}

/**
 * Memory of the machine, or the lowest limit of the cgroups (v1 or v2) around this process, in bytes.
 *
 * @param own the cgroup v2 of this process; `null` without one
 */
export function usableMemory(own: string | null): number {
  // The limit of v1, and of v2 where only a part of the hierarchy is mounted. 0: not known.
  const constrained = process.constrainedMemory() || Number.POSITIVE_INFINITY
  const outer = own === null ? [] : withAncestors(own)
  const limits = outer.map(path => numberIn(join(path, 'memory.max')))
  return Math.min(totalmem(), constrained, ...limits)
}

/**
 * The part of `all` that is left for commands.
 *
 * @param others the part that other processes use now
 */
export function leave(all: number, others: number, reserved: number): number {
  return Math.floor(Math.max(all - others - reserved, all * (1 - MOST_RESERVED_SHARE)))
}

/** The cgroup and the visible ones around it, without the root, which has no limits. */
function withAncestors(path: string): string[] {
  if (!existsSync(join(path, 'cgroup.procs'))) return []
  return [path, ...withAncestors(dirname(path))]
}

/** Number of tasks of the machine, with the threads of the kernel: proc(5), /proc/loadavg. */
function systemTasks(): number {
  return Number(/\/(\d+) /.exec(readText('/proc/loadavg'))?.[1] ?? 0)
}

function numberIn(path: string, otherwise = Number.POSITIVE_INFINITY): number {
  const text = readText(path).trim()
  return /^\d+$/.test(text) ? Number(text) : otherwise
}

function write(path: string, limit: number): void {
  if (!Number.isFinite(limit)) return
  try {
    writeFileSync(path, String(limit))
  } catch {
    // The limits of the machine apply then.
  }
}
