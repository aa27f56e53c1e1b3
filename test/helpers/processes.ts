/** Processes as /proc lists them (proc(5)), read from outside guestd. */
import { readdirSync, readFileSync } from 'node:fs'

/** Live processes, zombies not among them, that have this text in their environment or command line. */
export function processesWith(mark: string): number[] {
  return allPids().filter(
    pid =>
      pid !== process.pid &&
      (read(`/proc/${pid}/environ`).includes(mark) || read(`/proc/${pid}/cmdline`).includes(mark)),
  )
}

/** Children of a process, zombies among them. */
export function childrenOf(parent: number): number[] {
  return allPids().filter(pid => Number(statFields(pid)[1]) === parent)
}

/** Field `name` of /proc/PID/status, such as `SigIgn` or `VmRSS`. */
export function statusField(pid: number | 'self', name: string): string {
  return fieldOf(read(`/proc/${pid}/status`), name)
}

/** The same out of text that a command printed. */
export function fieldOf(status: string, name: string): string {
  const line = status.split('\n').find(one => one.startsWith(`${name}:`))
  return (line ?? '').slice(name.length + 1).trim()
}

/** `R`, `S`, `T` for stopped, `Z`…; an empty text when there is no such process. */
export function stateOf(pid: number): string {
  return statFields(pid)[0] ?? ''
}

/** Resident memory in bytes. */
export function rssBytes(pid: number): number {
  return Number.parseInt(statusField(pid, 'VmRSS'), 10) * 1024
}

export function openFds(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Ends what a test let loose on purpose. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has gone by itself.
    }
  }
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
}

/** Fields of /proc/PID/stat from the third, the state, on. */
function statFields(pid: number): string[] {
  const text = read(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
