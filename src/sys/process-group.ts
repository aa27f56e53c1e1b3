/**
 * Process groups and sessions. They contain a command when no cgroup v2 can be written. A process can escape with
 * setsid(2), so the proof is `group`, never `cgroup`.
 */
import { readText } from './read-text.ts'
import { type SignalResult, signalResult } from './signal-result.ts'

/** Signals every process of the group that guestd is allowed to signal. */
export function signalGroup(pgid: number, signal: number): SignalResult {
  return signalResult(() => process.kill(-pgid, signal))
}

export interface ProcessStat {
  readonly state: string
  readonly pgid: number
  readonly session: number
  /** In clock ticks after boot. With the pid it identifies the process. */
  readonly startTime: number
}

/** `null` for a process that has exited, or that cannot be read. */
export function processStat(pid: number): ProcessStat | null {
  const text = readText(`/proc/${pid}/stat`)
  if (text === '') return null
  // The name, in parentheses, may contain spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return {
    state: fields[0] ?? '',
    pgid: Number(fields[2]),
    session: Number(fields[3]),
    startTime: Number(fields[19]),
  }
}
