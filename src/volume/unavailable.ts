/** Why there is no workspace, as one kind of error, and for which working directories that counts. */
import { GuestdError } from '../errors.ts'

export function unavailable(reason: string): GuestdError {
  return new GuestdError('workspace_unavailable', reason)
}

export function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}
