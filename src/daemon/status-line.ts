/** The line that `systemctl status` shows. */
import type { ReadinessReason, SessionInfo } from '../protocol/schemas.ts'

export function statusLine(
  session: SessionInfo,
  reasons: readonly ReadinessReason[],
  listening: readonly string[],
): string {
  const { running, ended } = session.commands
  return [
    reasons.length === 0
      ? 'Ready'
      : `Not ready: ${reasons.map(({ message }) => message).join(', ')}`,
    `serving ${listening.join(', ')}`,
    `${running} ${running === 1 ? 'command' : 'commands'} running, ${ended} ended`,
    `workspace ${session.workspace.path}`,
  ].join('; ')
}
