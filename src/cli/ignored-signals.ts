/**
 * Signals that the caller of guestctl ignores: nohup(1) ignores SIGHUP, and a shell ignores SIGINT and SIGQUIT
 * of a background job. Node resets them before a script runs. So the shell code that starts guestctl (its own
 * first lines, and the script of the Debian package) passes them on in a variable.
 */

import { readFileSync, readlinkSync } from 'node:fs'
import { constants } from 'node:os'

/** `SigIgn` of proc(5): a bit mask in hexadecimal, bit 0 for signal 1. */
export const IGNORED_VARIABLE = 'GUESTCTL_IGNORED_SIGNALS'

/** The access mode in the flags of open(2), and write-only. */
const ACCESS_MODE = 0o3
const WRITE_ONLY = 0o1

/** @param signals the signals to look up */
export function ignoredSignals<S extends NodeJS.Signals>(
  signals: readonly S[],
  env: NodeJS.ProcessEnv,
): readonly S[] {
  const mask = maskOf(env[IGNORED_VARIABLE] ?? '')
  return signals.filter(signal => {
    const bit = 1n << BigInt(constants.signals[signal] - 1)
    return (mask & bit) !== 0n || (signal === 'SIGHUP' && isUnderNohup())
  })
}

function maskOf(text: string): bigint {
  return /^[0-9a-f]{1,32}$/.test(text) ? BigInt(`0x${text}`) : 0n
}

/** If standard input is a terminal, nohup replaces it by `/dev/null`, open for writing only. */
function isUnderNohup(): boolean {
  try {
    const [, flags = '0'] =
      /^flags:\s*([0-7]+)/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8')) ?? []
    const isWriteOnly = (Number.parseInt(flags, 8) & ACCESS_MODE) === WRITE_ONLY
    return isWriteOnly && readlinkSync('/proc/self/fd/0') === '/dev/null'
  } catch {
    return false
  }
}
