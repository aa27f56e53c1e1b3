/** Launches a process, reports its exit, and signals it. All commands start here. */
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { errorCode } from '../util/error-code.ts'
import { type LaunchSpec, native } from './native.ts'
import { failureOf, type SignalResult, signalResult } from './signal-result.ts'

/**
 * A launch that has not reached exec by then is killed, in milliseconds: a process of the same user can stop the child
 * before exec. A launch takes much less, and clients wait longer.
 */
export const LAUNCH_LIMIT_MS = 5_000

export interface ExitStatus {
  /** `null` after a signal. */
  readonly exitCode: number | null
  readonly signal: string | null
  readonly cpuMs: number
  /** ru_maxrss of getrusage(2); `null` when it is not the own value of the process, see `usefulMaxRss`. */
  readonly maxRssBytes: number | null
}

export interface LaunchedProcess {
  readonly pid: number
  /** In clock ticks after boot. With the pid it identifies the process. `null`: not known. */
  readonly startTime: number | null
  readonly exited: Promise<ExitStatus>
  /** False after it has exited. */
  readonly alive: boolean
  /** Signals only this process, by its pidfd. */
  signal(signal: number): SignalResult
}

export type LaunchOutcome =
  | { readonly kind: 'running'; readonly process: LaunchedProcess }
  /** Before the clone: the working directory does not exist, or is not a directory. */
  | { readonly kind: 'refused'; readonly errno: string }
  | {
      readonly kind: 'failed'
      readonly stage: string
      readonly errno: string | null
      /** The missing interpreter that made exec fail. */
      readonly interpreter?: string | null
    }

/**
 * Launches a process on a thread of its own. After LAUNCH_LIMIT_MS it abandons the launch and calls `onTimeout`, which
 * must kill the cgroup; the outcome is a failure of stage `timeout`. Closes the descriptors of `spec`.
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
    // After a stall of the loop a finished launch may not be reported yet: its callback runs before setImmediate.
    timer = setTimeout(() => setImmediate(giveUp, job), LAUNCH_LIMIT_MS)
  } catch (error) {
    // The addon closes them only after the thread has started.
    for (const fd of new Set([spec.stdin, spec.stdout, spec.stderr])) if (fd >= 0) closeSync(fd)
    resolve({ kind: 'failed', stage: 'thread', errno: errnoName(error) })
  }
  return promise
}

/** The `code` of the error of a system call, such as `EMFILE`; `null` without one. */
export function errnoName(error: unknown): string | null {
  return errorCode(error) || null
}

/** Watches the exit of a process. When that fails it kills the process: its exit would never be reported. */
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
 * The child shares the memory of guestd until exec, and the kernel keeps the larger peak (exec_mmap). So a value up to
 * guestd's own peak is not that of the process.
 */
function usefulMaxRss(maxRssKiB: number, ownMaxRssKiB: number): number | null {
  return maxRssKiB > ownMaxRssKiB ? maxRssKiB * 1_024 : null
}

const numberBySignal: ReadonlyMap<string, number> = new Map(Object.entries(constants.signals))
const nameBySignal: ReadonlyMap<number, string> = new Map(
  // SIGABRT and SIGIOT have the same number, and SIGIO and SIGPOLL. The first name is the usual one.
  [...numberBySignal].reverse().map(([name, number]) => [number, name]),
)
/** signal(7): real-time signals that glibc does not use itself. */
const FIRST_REALTIME = 34
const LAST_REALTIME = native.constants.lastSignal

/** The name of a signal, such as `SIGTERM`; of a real-time signal `SIGRTMIN+n`. */
export function signalName(number: number): string {
  if (number >= FIRST_REALTIME) return `SIGRTMIN+${number - FIRST_REALTIME}`
  return nameBySignal.get(number) ?? `SIG${number}`
}

/** The number of a signal; `null` for an unknown name. */
export function signalNumber(name: string): number | null {
  const realtime = /^SIGRTMIN\+(\d{1,2})$/.exec(name)
  const number = realtime ? FIRST_REALTIME + Number(realtime[1]) : numberBySignal.get(name)
  return number !== undefined && number <= LAST_REALTIME ? number : null
}

/** Opens a pidfd of a process that is not a child of guestd. Without one it returns the reason. */
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
