/** The session of a guestd, as its API has it. */
import type { SessionInfo, WorkspaceInfo } from '../../src/protocol/schemas.ts'
import type { Guestd, Reply } from './guestd.ts'

export async function infoOf(on: Guestd): Promise<SessionInfo> {
  return JSON.parse((await on.request('GET', '/v1/session')).text)
}

/** Assigns the session, or renews what may change. */
export async function putSession(on: Guestd, body: object): Promise<Reply> {
  return await on.request('PUT', '/v1/session', { body })
}

/** `null` while it is not known, or where the workspace has no cap. */
export async function usageOf(on: Guestd): Promise<WorkspaceInfo['usage']> {
  return (await infoOf(on)).workspace.usage
}

/** @throws Error where the usage is not known */
export async function knownUsageOf(on: Guestd): Promise<NonNullable<WorkspaceInfo['usage']>> {
  const usage = await usageOf(on)
  if (usage === null) throw new Error('there is no usage')
  return usage
}
