/** The error for a workspace that cannot be used, and the test for paths in it. */
import { GuestdError } from '../errors.ts'

export function unavailable(reason: string): GuestdError {
  return new GuestdError('workspace_unavailable', reason)
}

export function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}
