/** The session that owns a volume. */
import { GuestdError } from '../errors.ts'
import type { Mark } from './mark.ts'

export interface Owner {
  readonly sessionId: string
  readonly runtimeVersion: string | null
}

/**
 * The first session that uses a volume owns it.
 *
 * @throws GuestdError `session_mismatch`
 */
export function checkOwner(mark: Pick<Mark, 'sessionId'> | null, owner: Owner | null): void {
  const { sessionId = null } = mark ?? {}
  if (owner === null || sessionId === null || sessionId === owner.sessionId) return
  const detail = `the volume belongs to the session ${sessionId}, not to ${owner.sessionId}`
  throw new GuestdError('session_mismatch', detail, { field: 'id' })
}
