/** What this client is asked to run. */

import type { RunRequest as WireRunRequest } from '../protocol/schemas.ts'

/** A run request without `detach`, which is what tells `start` from `run`. */
export type RunRequest = Omit<WireRunRequest, 'detach'>

export function commandPath(id: string, rest = ''): string {
  return `/v1/commands/${encodeURIComponent(id)}${rest}`
}
