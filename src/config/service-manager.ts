/** Reads the variables that a service manager such as systemd sets. */
import { FIRST_INHERITED_FD, STORED_FD_NAMES } from '../util/listen-uri.ts'
import type { AddBad, FromManager } from './types.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Descriptors and the watchdog count only for the process whose id is in the variables. */
export function readManager(env: Environment, pid: number, addBad: AddBad): FromManager {
  const inheritedFds: number[] = []
  const storedFds: Record<string, number> = {}
  const names = env.LISTEN_FDNAMES?.split(':') ?? []
  const count = countFds(env, pid, addBad)
  for (let index = 0; index < count; index += 1) {
    const fd = FIRST_INHERITED_FD + index
    const name = names[index] ?? ''
    if (STORED_FD_NAMES.includes(name)) storedFds[name] = fd
    else inheritedFds.push(fd)
  }
  const watched = env.WATCHDOG_PID === undefined || env.WATCHDOG_PID === String(pid)
  return {
    inheritedFds,
    storedFds,
    notifySocket: env.NOTIFY_SOCKET || null,
    watchdogMs: watched ? watchdogMs(env.WATCHDOG_USEC) : null,
  }
}

const US_PER_MS = 1_000
/** No unit has more descriptors: a count with more digits is invalid. */
const MAX_COUNT_DIGITS = 5

function countFds({ LISTEN_PID, LISTEN_FDS }: Environment, pid: number, addBad: AddBad) {
  if (LISTEN_FDS === undefined || LISTEN_PID !== String(pid)) return 0
  if (/^\d+$/.test(LISTEN_FDS) && LISTEN_FDS.length <= MAX_COUNT_DIGITS) return Number(LISTEN_FDS)
  addBad(
    'LISTEN_FDS',
    `LISTEN_FDS: ${JSON.stringify(LISTEN_FDS)} (from the environment) is not a count of descriptors from ${FIRST_INHERITED_FD} on`,
  )
  return 0
}

function watchdogMs(text: string | undefined): number | null {
  const microseconds = /^\d+$/.test(text ?? '') ? Number(text) : 0
  return microseconds > 0 ? microseconds / US_PER_MS : null
}
