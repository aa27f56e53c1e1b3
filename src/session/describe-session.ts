/** The reply of `GET /v1/session`. */
import type { Machine } from '../commands/plan.ts'
import type { Commands } from '../commands/types.ts'
import type { SessionInfo, SessionRequest } from '../protocol/schemas.ts'
import { API_VERSION } from '../protocol/schemas.ts'
import { readCommandsMemory, rootFilesBytes } from '../sys/commands-memory.ts'
import type { ActivityTime } from '../volume/activity-time.ts'
import type { History } from '../workspace/volume-history.ts'
import type { Workspace } from '../workspace/workspace.ts'
import type { SessionLimits } from './session-limits.ts'
import type { Stop } from './stop.ts'

export interface Parts {
  readonly request: SessionRequest | null
  /** By `readiness.ts`. */
  readonly state: SessionInfo['state']
  readonly stop: Stop
  readonly workspace: Workspace
  readonly machine: Machine
  readonly commands: Commands
  readonly sessionLimits: SessionLimits
  readonly limits: SessionInfo['limits']
  readonly retentionMs: number
  readonly lastActivity: ActivityTime
  readonly bootId: string
  readonly startedAt: string
  readonly version: string
}

export function describeSession(parts: Parts): SessionInfo {
  const { request, stop, workspace, machine, commands, sessionLimits, limits } = parts
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
    expiresAt: expiresAt(history, parts),
    workspace: workspace.state(),
    cgroup: {
      mode: machine.cgroups === null ? 'group' : 'cgroup2',
      path: machine.cgroups?.commandsPath ?? null,
      limits: [...(machine.cgroups?.controllers ?? [])],
    },
    memory: memoryOf(machine),
    limits,
    commands: commands.counts,
    ...sessionLimits.facts(),
    lastStop: stop.receipt ?? history?.lastStop ?? null,
    bootId,
    startedAt,
    version,
    apiVersion: API_VERSION,
  }
}

function memoryOf({ cgroups }: Machine): SessionInfo['memory'] {
  const memory = readCommandsMemory(cgroups)
  return memory === null ? null : { ...memory, rootFilesBytes: rootFilesBytes() }
}

/** By the last activity in the mark, or that the stop writes to it. `null` without a mark. */
function expiresAt(
  history: History | null,
  { lastActivity, retentionMs }: Pick<Parts, 'lastActivity' | 'retentionMs'>,
): string | null {
  if (history === null || history.generation === null || retentionMs === 0) return null
  const at = Date.parse(history.lastActivity(lastActivity).at) + retentionMs
  return new Date(Math.min(at, LAST_TIME)).toISOString()
}

/** Largest time of a Date in milliseconds, ECMA-262 21.4.1.1. */
const LAST_TIME = 8.64e15
