/** What `systemctl status` shows of guestd, in one line. */
import type { SessionInfo } from '../protocol/schemas.ts'

export function statusLine(
  session: SessionInfo,
  reasons: readonly string[],
  listening: readonly string[],
): string {
  const { running, ended } = session.commands
  return [
    reasons.length === 0 ? 'Ready' : `Not ready: ${reasons.join(', ')}`,
    `serving ${listening.join(', ')}`,
    `${running} ${running === 1 ? 'command' : 'commands'} running, ${ended} ended`,
    `workspace ${session.workspace.path}`,
  ].join('; ')
}
