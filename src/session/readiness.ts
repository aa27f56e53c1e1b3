/** Whether commands would be taken now, and if not, why: `/readyz`, the session and the events read it here. */
import type { Config } from '../config/types.ts'
import type { ReadinessReason, ReasonCode, SessionInfo } from '../protocol/schemas.ts'
import { findUser } from '../sys/users.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { fullPlaces } from './free-space.ts'
import type { SessionSettings } from './session-settings.ts'
import type { Stop } from './stop.ts'

export interface Ready {
  readonly ready: boolean
  /** `ready` exactly where `ready` is true. */
  readonly state: SessionInfo['state']
  /** Empty when it is ready. */
  readonly reasons: readonly ReadinessReason[]
}

export interface ReadinessOptions {
  readonly config: Pick<Config, 'runDir' | 'user'>
  readonly stop: Pick<Stop, 'state'>
  readonly workspace: Pick<Workspace, 'state' | 'code'>
  /** Whether guestd can write its state. */
  readonly state: StateReasons
  /** Why commands have too little memory; `null`: they have enough. */
  readonly memory: () => string | null
  readonly settings: Pick<SessionSettings, 'waitsFor'>
}

export interface StateReasons {
  /** Looks now. */
  look(): void
  /** What guestd cannot write now, in words. */
  reasons(): readonly string[]
}

/** Reasons that pass without anything being wrong. */
const startCodes: readonly ReasonCode[] = ['starting', 'waiting_for_session']

/** Evaluates anew with each call. */
export function createReadiness(options: ReadinessOptions): () => Ready {
  const { config, stop, workspace, state, memory, settings } = options
  const places = [
    { name: 'root file system', path: '/' },
    { name: 'runDir', path: config.runDir },
  ]

  const workspaceReason = (): ReadinessReason[] => {
    const code = workspace.code()
    // The wait for the session has a reason of its own.
    if (code === null || code === 'waiting_for_session') return []
    return [{ code, message: `workspace: ${workspace.state().reason}` }]
  }

  return () => {
    // At the end nothing else matters.
    if (stop.state !== 'ready') {
      const message = `guestd is ${stop.state}`
      return { ready: false, state: stop.state, reasons: [{ code: stop.state, message }] }
    }
    const waiting = settings.waitsFor()
    state.look()
    const full = fullPlaces(places).map(message => ({ code: 'disk_full' as const, message }))
    const unwritten = state
      .reasons()
      .map(message => ({ code: 'state_unavailable' as const, message }))
    const reasons: ReadinessReason[] = [
      ...reasonOf('user_unknown', userProblem(config.user)),
      ...reasonOf('waiting_for_session', waiting),
      ...workspaceReason(),
      ...full,
      ...reasonOf('memory', memory()),
      // A full disk is the reason for it.
      ...(full.length > 0 ? [] : unwritten),
    ]
    const ready = reasons.length === 0
    const starts = reasons.every(({ code }) => startCodes.includes(code))
    return { ready, state: ready ? 'ready' : starts ? 'starting' : 'not_ready', reasons }
  }
}

function reasonOf(code: ReasonCode, message: string | null): ReadinessReason[] {
  return message === null ? [] : [{ code, message }]
}

/** The user may be made later: it is looked up for every command. */
function userProblem(user: Config['user']): string | null {
  try {
    if (user === null || findUser(user) !== null) return null
  } catch {
    // Reported below.
  }
  return `user: there is no user ${user}`
}
