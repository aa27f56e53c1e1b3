/** The text of an error, with advice. */

import { ADDRESS_FORMS, ConnectError, type ErrorCode, GuestdError } from '../client/index.ts'
import { messageOf } from '../util/message-of.ts'
import { UsageError } from './command-spec.ts'

const advice: Partial<Record<ErrorCode, string>> = {
  unauthorized: 'give --token-file, or set GUESTCTL_TOKEN or GUESTCTL_TOKEN_FILE',
  command_not_found: "'guestctl ps --all' lists the commands that guestd holds",
  command_ended: "'guestctl inspect ID' shows how",
  id_conflict: 'choose another --id, or leave it out',
  cwd_not_found: 'correct -C',
  cwd_not_directory: 'correct -C',
  user_unknown: 'give another user with -u, or correct the setting user of guestd',
  user_not_allowed: 'correct -u, or set allowRoot in the settings of guestd',
  limit_unavailable: "'guestctl status' lists the limits that can be enforced there",
  too_many_commands: "wait, or end one: 'guestctl ps' lists them",
  starting: "assign the session with 'guestctl session set --id ID'",
  session_mismatch: "'guestctl status' shows the session of the volume",
  stopping: "after the stop, start the session again with 'guestctl start', or in a new guest",
  stopped: "start the session again with 'guestctl start'",
  misconfigured: 'correct the settings in the guest, and start guestd again',
  workspace_unavailable: "'guestctl status' shows why",
  workspace_full: "make room: 'guestctl status --largest', 'guestctl run --allow-over-cap -- rm …'",
}

/** The text to print after `guestctl: `, without a newline. */
export function errorText(error: unknown, command: string): string {
  if (error instanceof UsageError) {
    const name = command === '' ? 'guestctl' : `guestctl ${command}`
    return `${error.message}\nSee '${name} --help'.`
  }
  if (error instanceof ConnectError) return error.message
  if (error instanceof GuestdError) {
    const hint = advice[error.code]
    return `${error.message} (${error.code})${hint === undefined ? '' : `: ${hint}`}`
  }
  return messageOf(error)
}

/** The error of a command line without an address. */
export function noAddress(): UsageError {
  return new UsageError(
    `where is guestd? Give --connect URI or set GUESTCTL_CONNECT: ${ADDRESS_FORMS}`,
  )
}
