/**
 * guestd with settings that cannot be used, on sockets that its service manager holds. Were it to
 * exit it would be started again for ever, and the host would see nothing but connections that hang:
 * it serves the reason instead, and nothing else.
 */
import { createApi } from '../api/api.ts'
import type { Commands } from '../commands/types.ts'
import type { BadSetting, Config } from '../config/config.ts'
import { GuestdError } from '../errors.ts'
import type { Log } from '../log.ts'
import { API_VERSION, type SessionInfo } from '../protocol/schemas.ts'
import { addresses, serve } from '../server/serve.ts'
import { bootId } from '../sys/boot-id.ts'
import type { Daemon } from './daemon.ts'

/** Longest time for replies under way at the end, in milliseconds. */
const LAST_REPLIES_MS = 2_000

/**
 * Serves the inherited sockets until the settings are mended and guestd is started again. It looks at
 * nothing of the machine and keeps nothing.
 *
 * @param config with the defaults in the place of what is bad
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
  const refusal = () =>
    new GuestdError('misconfigured', reason, field === undefined ? {} : { field })
  const refuse = (): never => {
    throw refusal()
  }
  const session = describe(config, reason, version)
  const api = createApi({
    commands: noCommands(refusal),
    session: () => session,
    events: { attach: refuse, isOver: () => false },
    control: {
      assignSession: async () => refuse(),
      flush: async () => refuse(),
      clearTemporary: async () => refuse(),
      largest: async () => refuse(),
      stop: () => refuse(),
      start: () => refuse(),
    },
    health: { ready: () => ({ ready: false, reasons }) },
    refusal,
    config,
    outputBytes: config.output.totalBytes,
    log,
    version,
  })
  const { listening, drain } = await serve(
    api,
    addresses({ ...config, listen: [] }),
    // Nothing runs here, and the token may be what is wrong.
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

/** Never asked, as every request is refused before. */
function noCommands(refusal: () => GuestdError): Commands {
  return {
    run: async () => {
      throw refusal()
    },
    get: () => {
      throw refusal()
    },
    list: () => [],
    counts: { running: 0, ended: 0 },
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
