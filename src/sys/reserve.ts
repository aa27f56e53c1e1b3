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
 * Root's commands have a part of what commands may take that the others cannot: as much as this share of the reserve.
 * 36 MiB of 288 MiB are enough for a shell that cleans up while the others fill theirs.
 */
const RESCUE_SHARE = 1 / 8
/** Of the machine guestd's own cgroup is protected up to this share, as `MemoryMin` of its unit. */
const MOST_PROTECTED_SHARE = 1 / 4

export interface LimitedCgroups {
  /** Holds the other one, and that of root's commands. */
  readonly all: string
  /** Of all commands but root's. */
  readonly ordinary: string
}

/**
 * Limits both cgroups. Commands that use up all of the memory are ended by the kernel, the largest
 * first: without that, a machine out of memory spends minutes on reading code back from disk before
 * its OOM killer comes, and guestd does not answer in the meantime. A fork past the tasks fails with
 * EAGAIN. What cannot be written is left as it is: then the machine's own limits are what holds.
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

/** What all commands but root's may take. @param most of all commands @param reserved what they leave */
export function withoutRescue(most: number, reserved: number): number {
  return most - Math.floor(Math.min(reserved, most) * RESCUE_SHARE)
}

/**
 * Keeps memory of guestd itself from being reclaimed, as far as the cgroups around it are protected: kernel memory that
 * no cgroup counts cannot push its code out.
 *
 * @param own the cgroup that guestd was started in
 * @param leaf the one below it that guestd is in
 */
export function protect(own: string, leaf: string, { memoryBytes }: Reserve): void {
  if (!existsSync(leaf)) return
  const most = Math.floor(usableMemory(own) * MOST_PROTECTED_SHARE)
  const protectedBytes = Math.min(memoryBytes, most)
  write(join(leaf, 'memory.min'), protectedBytes)
  // Where cgroups share protection (memory_recursiveprot), what is above that would protect the commands' memory.
  const around = join(own, 'memory.min')
  if (numberIn(around, 0) > protectedBytes) write(around, protectedBytes)
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
