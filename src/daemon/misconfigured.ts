/**
 * guestd with bad settings, on sockets that its service manager holds. If it exited, the manager would start it again
 * and again, and the connections of the host would hang. It serves the reason instead, and refuses everything else.
 */
import { createStatusApi } from '../api/app.ts'
import type { BadSetting, Config } from '../config/types.ts'
import { GuestdError } from '../errors.ts'
import type { Log } from '../log.ts'
import { API_VERSION, type SessionInfo } from '../protocol/schemas.ts'
import { addresses, serve } from '../server/serve.ts'
import { bootId } from '../sys/boot-id.ts'
import type { Daemon } from './daemon.ts'

/** Longest time for replies under way at the end, in milliseconds. */
const LAST_REPLIES_MS = 2_000

/**
 * Serves the inherited sockets until the settings are corrected and guestd is started again. It reads nothing of the
 * machine and stores nothing.
 *
 * @param config with the default in the place of each bad value
 */
export async function startMisconfigured(
  bad: readonly BadSetting[],
  config: Config,
  log: Log,
  version: string,
): Promise<Daemon> {
  const reason = bad.map(({ message }) => message).join('; ')
  const reasons = bad.map(({ message }) => ({
    code: 'misconfigured' as const,
    message: `configuration: ${message}`,
  }))
  const field = bad[0]?.key ?? undefined
  const session = describe(config, reason, version)
  const api = createStatusApi({
    session: () => session,
    health: { ready: () => ({ ready: false, reasons }) },
    refusal: () => new GuestdError('misconfigured', reason, field === undefined ? {} : { field }),
    config,
    log,
  })
  const { listening, drain } = await serve(
    api,
    addresses({ ...config, listen: [] }),
    // No command can run, and the token may be the bad setting.
    { ...config, version, allowUnauthenticated: true },
    log,
  )
  return {
    listening,
    status: () => `Misconfigured: ${reason}; serving ${listening.join(', ')}`,
    stopsWithinMs: LAST_REPLIES_MS,
    async stop() {
      await drain(LAST_REPLIES_MS)
      await api.close()
      return null
    },
  }
}

function describe(config: Config, reason: string, version: string): SessionInfo {
  return {
    id: null,
    generation: null,
    state: 'misconfigured',
    reason,
    resumed: false,
    recovered: false,
    recovery: [],
    reset: null,
    expired: false,
    expiresAt: null,
    workspace: {
      path: config.workspace,
      ok: false,
      reason: 'guestd is misconfigured',
      device: null,
      sessionId: null,
      capEnforcement: 'none',
      enforcedFor: 'none',
      usage: null,
    },
    cgroup: { mode: 'group', path: null, limits: [] },
    memory: null,
    limits: { maxCommands: config.maxCommands, ...config.limits },
    commands: { running: 0, ended: 0 },
    idleMs: 0,
    lifetimeMs: 0,
    idleSince: null,
    endsAt: null,
    lastStop: null,
    bootId: bootId(),
    startedAt: new Date().toISOString(),
    version,
    apiVersion: API_VERSION,
  }
}
