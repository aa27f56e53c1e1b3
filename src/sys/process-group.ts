/**
 * Process groups and sessions: what contains a command where no cgroup v2 can be written. A process
 * that leaves the session with setsid(2) escapes it, so the proof is `group`, never `cgroup`.
 */
import { readFileSync } from 'node:fs'
import { type SignalResult, signalResult } from './signal-result.ts'

/** Sends a signal to every process of the group that may be signalled. */
export function signalGroup(pgid: number, signal: number): SignalResult {
  return signalResult(() => process.kill(-pgid, signal))
}

export interface ProcessStat {
  readonly state: string
  readonly pgid: number
  readonly session: number
  /** Clock ticks after boot: with the pid it names one process for good. */
  readonly startTime: number
}

/** `null` for a process that is gone, or that cannot be looked at. */
export function processStat(pid: number): ProcessStat | null {
  try {
    return readStat(pid)
  } catch {
    return null
  }
}

function readStat(pid: number): ProcessStat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in parentheses, may hold spaces and parentheses itself.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return {
      state: fields[0] ?? '',
      pgid: Number(fields[2]),
      session: Number(fields[3]),
      startTime: Number(fields[19]),
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code === 'ENOENT' || code === 'ESRCH') return null
    throw error
  }
}
