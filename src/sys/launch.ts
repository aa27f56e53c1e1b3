/** Launching one process, its exit, and signals to it: the one way in which commands come to life. */
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { type LaunchSpec, native } from './native.ts'
import { failureOf, type SignalResult, signalResult } from './signal-result.ts'

/**
 * A launch that has not reached exec by then is killed. A same-uid process may stop the child on
 * its way; 5 s is far beyond any honest launch, and below a client's patience.
 */
export const LAUNCH_LIMIT_MS = 5_000

export interface ExitStatus {
  /** `null` when a signal ended it. */
  readonly exitCode: number | null
  readonly signal: string | null
  readonly cpuMs: number
  /** ru_maxrss of getrusage(2); `null` where it tells the daemon's own (see `usefulMaxRss`). */
  readonly maxRssBytes: number | null
}

export interface LaunchedProcess {
  readonly pid: number
  /** Clock ticks after boot: with the pid it names one process. `null`: not known. */
  readonly startTime: number | null
  readonly exited: Promise<ExitStatus>
  /** False once it has exited. */
  readonly alive: boolean
  /** To the one process, by its pidfd. */
  signal(signal: number): SignalResult
}

export type LaunchOutcome =
  | { readonly kind: 'running'; readonly process: LaunchedProcess }
  /** Seen before the clone: the working directory cannot be one. */
  | { readonly kind: 'refused'; readonly errno: string }
  | {
      readonly kind: 'failed'
      readonly stage: string
      readonly errno: string | null
      /** What the program needs and is not there: exec has failed for that. */
      readonly interpreter?: string | null
    }

/**
 * Launches on a thread of its own. A launch past LAUNCH_LIMIT_MS is given up: `onTimeout` is to
 * kill what has been born in its cgroup, and the outcome is stage `timeout`.
 */
export function launch(spec: LaunchSpec, onTimeout: () => void): Promise<LaunchOutcome> {
  const { promise, resolve } = Promise.withResolvers<LaunchOutcome>()
  const done: Parameters<typeof native.launch>[1] = (
    pid,
    pidfd,
    stage,
    errno,
    interpreter,
    startTicks,
  ) => {
    clearTimeout(timer)
    isDone = true
    const process = pidfd >= 0 ? adopt(pid, pidfd, startTicks) : null
    if (process !== null && 'errno' in process)
      resolve({ kind: 'failed', stage: 'watch', errno: process.errno })
    else if (stage === null && process !== null) resolve({ kind: 'running', process })
    else if (stage === 'precheck') resolve({ kind: 'refused', errno: errno ?? 'ENOENT' })
    else resolve({ kind: 'failed', stage: stage ?? 'clone', errno, interpreter })
  }
  const giveUp = (job: number) => {
    if (isDone) return
    native.abandonLaunch(job)
    onTimeout()
    resolve({ kind: 'failed', stage: 'timeout', errno: null })
  }
  let isDone = false
  let timer: NodeJS.Timeout | undefined
  try {
    const job = native.launch(spec, done)
    // After a stall of the loop a launch that is done has only not been told yet: look first.
    timer = setTimeout(() => setImmediate(giveUp, job), LAUNCH_LIMIT_MS)
  } catch (error) {
    // No thread could be had, and so nobody closes these.
    for (const fd of new Set([spec.stdin, spec.stdout, spec.stderr])) if (fd >= 0) closeSync(fd)
    resolve({ kind: 'failed', stage: 'thread', errno: errnoName(error) })
  }
  return promise
}

/** The `code` of a system call's error, such as `EMFILE`. */
export function errnoName(error: unknown): string | null {
  return error instanceof Error && 'code' in error ? String(error.code) : null
}

/** A process whose exit cannot be watched is killed at once: it would never end for guestd. */
function adopt(
  pid: number,
  pidfd: number,
  startTicks: number,
): LaunchedProcess | { readonly errno: string | null } {
  let alive = true
  const ownMaxRssKiB = process.resourceUsage().maxRSS
  const { promise: exited, resolve } = Promise.withResolvers<ExitStatus>()
  try {
    native.watchExit(pid, pidfd, (exitCode, signal, cpuMicroseconds, maxRssKiB) => {
      alive = false
      resolve({
        exitCode: signal === 0 && exitCode >= 0 ? exitCode : null,
        signal: signal === 0 ? null : signalName(signal),
        cpuMs: Math.round(cpuMicroseconds / 1_000),
        maxRssBytes: usefulMaxRss(maxRssKiB, ownMaxRssKiB),
      })
    })
  } catch (error) {
    sendSignal(pidfd, constants.signals.SIGKILL)
    closePidfd(pidfd)
    return { errno: errnoName(error) }
  }
  return {
    pid,
    startTime: startTicks > 0 ? startTicks : null,
    exited,
    get alive() {
      return alive
    },
    signal: number => (alive ? sendSignal(pidfd, number) : 'gone'),
  }
}

/**
 * A child that shared its parent's memory until exec takes the parent's peak with it (the kernel's
 * exec_mmap keeps the larger one), so a value up to the daemon's own peak says nothing.
 */
function usefulMaxRss(maxRssKiB: number, ownMaxRssKiB: number): number | null {
  return maxRssKiB > ownMaxRssKiB ? maxRssKiB * 1_024 : null
}

const numberBySignal: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals))
const nameBySignal: ReadonlyMap<number, string> = new Map(
  // SIGABRT and SIGIOT, SIGIO and SIGPOLL share a number: the first name is the usual one.
  [...numberBySignal].reverse().map(([name, number]) => [number, name]),
)
/** signal(7): the real-time signals that glibc leaves to programs. */
const FIRST_REALTIME = 34
const LAST_REALTIME = native.constants.lastSignal

/** `SIGTERM` for 15; real-time signals as `SIGRTMIN+n`. */
export function signalName(number: number): string {
  if (number >= FIRST_REALTIME) return `SIGRTMIN+${number - FIRST_REALTIME}`
  return nameBySignal.get(number) ?? `SIG${number}`
}

/** `null` for a name that the kernel does not know. */
export function signalNumber(name: string): number | null {
  const realtime = /^SIGRTMIN\+(\d{1,2})$/.exec(name)
  const number = realtime ? FIRST_REALTIME + Number(realtime[1]) : numberBySignal.get(name)
  return number !== undefined && number <= LAST_REALTIME ? number : null
}

/** A reference to a process that is not our child, or why there is none. */
export function openPidfd(pid: number): number | SignalResult {
  try {
    return native.openPidfd(pid)
  } catch (error) {
    return failureOf(error)
  }
}

export function closePidfd(pidfd: number): void {
  closeSync(pidfd)
}

export function sendSignal(pidfd: number, signal: number): SignalResult {
  return signalResult(() => native.sendSignal(pidfd, signal))
}
