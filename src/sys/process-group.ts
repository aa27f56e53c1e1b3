/**
 * Process groups and sessions: what contains a command where no cgroup v2 can be written. A process
 * that leaves the session with setsid(2) escapes it, so the proof is `group`, never `cgroup`.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** Sends a signal to every process of the group. False when the group is empty. */
export function signalGroup(pgid: number, signal: number): boolean {
  try {
    process.kill(-pgid, signal)
    return true
  } catch {
    return false
  }
}

export function groupExists(pgid: number): boolean {
  return signalGroup(pgid, 0)
}

/** Live processes whose process group or session is `id`: fields 3, 5 and 6 of /proc/PID/stat, proc(5). */
export function groupPids(id: number): readonly number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => {
      const stat = processStat(pid)
      return stat !== null && stat.state !== 'Z' && (stat.pgid === id || stat.session === id)
    })
}

export interface ProcessStat {
  readonly state: string
  readonly pgid: number
  readonly session: number
  /** Clock ticks after boot: with the pid it names one process for good. */
  readonly startTime: number
}

export function processStat(pid: number): ProcessStat | null {
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
  } catch {
    return null
  }
}
