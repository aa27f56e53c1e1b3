/** The settings that the host may set for its session, over those of the configuration. A renewal changes them. */
import type { Config } from '../config/types.ts'
import type { SessionAssignment } from './assign-session.ts'
import type { LimitSettings } from './session-limits.ts'

export interface SessionSettings {
  /** Environment and limits of commands that ask for none. */
  commandDefaults(): Pick<Config, 'env' | 'limits'>
  sessionLimits(): LimitSettings
  /** Why no command may start before the host has set the session; `null`: it may. */
  waitsFor(): string | null
}

const WAITS = 'the host has not set the session: PUT /v1/session'

export function createSessionSettings(
  config: Pick<Config, 'env' | 'limits' | 'idleMs' | 'lifetimeMs' | 'requireSession'>,
  assignment: Pick<SessionAssignment, 'request'>,
): SessionSettings {
  return {
    commandDefaults: () => ({
      env: { ...config.env, ...assignment.request?.env },
      limits: { ...config.limits, ...assignment.request?.limits },
    }),
    sessionLimits: () => ({
      idleMs: assignment.request?.idleMs ?? config.idleMs,
      lifetimeMs: assignment.request?.lifetimeMs ?? config.lifetimeMs,
    }),
    waitsFor: () => (config.requireSession && assignment.request === null ? WAITS : null),
  }
}
