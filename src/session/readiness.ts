/** Whether guestd accepts commands now, and if not, why: for `/readyz`, the session and the events. */
import type { Config } from '../config/types.ts'
import type { ReadinessReason, ReasonCode, SessionInfo } from '../protocol/schemas.ts'
import { findUser } from '../sys/users.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { fullPlaces } from './free-space.ts'
import type { SessionSettings } from './session-settings.ts'
import type { Stop } from './stop.ts'

export interface Ready {
  readonly ready: boolean
  /** `ready` if and only if `ready` is true. */
  readonly state: SessionInfo['state']
  /** Empty if it is ready. */
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
  /** Checks the folder now. */
  look(): void
  /** The state that guestd cannot write now, one text each. */
  reasons(): readonly string[]
}

/** Reasons that are part of a normal start. */
const startCodes: readonly ReasonCode[] = ['starting', 'waiting_for_session']

/** Each call evaluates the reasons again. */
export function createReadiness(options: ReadinessOptions): () => Ready {
  const { config, stop, workspace, state, memory, settings } = options
  const places = [
    { name: 'root file system', path: '/' },
    { name: 'runDir', path: config.runDir },
  ]

  const workspaceReason = (): ReadinessReason[] => {
    const code = workspace.code()
    // The wait for the session is a reason of its own.
    if (code === null || code === 'waiting_for_session') return []
    return [{ code, message: `workspace: ${workspace.state().reason}` }]
  }

  return () => {
    // While guestd stops, no other reason is relevant.
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
      // A full disk is why the state cannot be written.
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

/** The user may be created later: each command looks it up. */
function userProblem(user: Config['user']): string | null {
  try {
    if (user === null || findUser(user) !== null) return null
  } catch {
    // Reported below.
  }
  return `user: there is no user ${user}`
}
