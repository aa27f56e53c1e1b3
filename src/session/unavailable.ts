/** Why there is no workspace, as one kind of error. */
import { GuestdError } from '../errors.ts'

export function unavailable(reason: string): GuestdError {
  return new GuestdError('workspace_unavailable', reason)
}
