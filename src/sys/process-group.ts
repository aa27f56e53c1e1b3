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

/**
 * The process groups of live processes whose group or session is `id`, one entry for each process:
 * fields 3, 5 and 6 of /proc/PID/stat, proc(5). A shell's jobs have groups of their own in it.
 * `null` where /proc cannot be read, as without a free descriptor: then nobody knows.
 */
export function sessionGroups(id: number): readonly number[] | null {
  try {
    return readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .flatMap(pid => {
        const stat = readStat(Number(pid))
        const isMember = stat !== null && (stat.pgid === id || stat.session === id)
        return isMember && stat.state !== 'Z' ? [stat.pgid] : []
      })
  } catch {
    return null
  }
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
