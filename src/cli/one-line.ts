/** The state of a command in a few words. */

import type { CommandInfo } from '../client/index.ts'

/** `running`, `exit 0`, `SIGKILL (oom)`, `exec ENOENT (spawn)`, `lost`. */
export function describeState(info: CommandInfo): string {
  const { state, cause, exitCode, signal, stage, errno } = info
  if (state === 'running' || cause === null) return state
  if (cause === 'exit') return `exit ${exitCode}`
  if (cause === 'signal') return signal ?? cause
  const how = cause === 'spawn' ? `${stage} ${errno}` : (signal ?? exitText(exitCode))
  return how === '' ? cause : `${how} (${cause})`
}

function exitText(exitCode: number | null): string {
  return exitCode === null ? '' : `exit ${exitCode}`
}
