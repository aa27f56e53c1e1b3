/** What `GET /v1/session` answers. */
import type { Machine } from '../commands/plan.ts'
import type { Commands } from '../commands/types.ts'
import type { SessionInfo, SessionRequest } from '../protocol/schemas.ts'
import { API_VERSION } from '../protocol/schemas.ts'
import type { History } from '../session/history.ts'
import type { Workspace } from '../session/workspace.ts'
import type { Expiry } from './expiry.ts'
import type { Stop } from './stop.ts'

export interface Parts {
  readonly request: SessionRequest | null
  /** From the readiness. */
  readonly state: SessionInfo['state']
  readonly stop: Stop
  readonly workspace: Workspace
  readonly machine: Machine
  readonly commands: Commands
  readonly expiry: Expiry
  readonly limits: SessionInfo['limits']
  readonly retentionMs: number
  readonly bootId: string
  readonly startedAt: string
  readonly version: string
}

export function describeSession(parts: Parts): SessionInfo {
  const { request, stop, workspace, machine, commands, expiry, limits } = parts
  const { bootId, startedAt, version } = parts
  const history = workspace.history()
  return {
    id: request?.id ?? null,
    generation: history?.generation ?? null,
    state: parts.state,
    reason: stop.reason,
    resumed: history?.resumed ?? false,
    recovered: (history?.recovery.length ?? 0) > 0,
    recovery: [...(history?.recovery ?? [])],
    reset: history?.reset ?? null,
    expired: history?.expired ?? false,
    expiresAt: expiresAt(history, expiry, parts.retentionMs),
    workspace: workspace.state(),
    cgroup: {
      mode: machine.cgroups === null ? 'group' : 'cgroup2',
      path: machine.cgroups?.commandsPath ?? null,
      limits: [...(machine.cgroups?.controllers ?? [])],
    },
    limits,
    commands: commands.counts,
    ...expiry.facts(),
    lastStop: stop.receipt ?? history?.lastStop ?? null,
    bootId,
    startedAt,
    version,
    apiVersion: API_VERSION,
  }
}

/** Without a mark nobody will know when it was used. */
function expiresAt(history: History | null, expiry: Expiry, retentionMs: number): string | null {
  if (history === null || history.generation === null || retentionMs === 0) return null
  return new Date(Date.parse(expiry.lastActivityAt()) + retentionMs).toISOString()
}
