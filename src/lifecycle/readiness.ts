/** Whether commands would be taken now, and if not, why. */
import type { Config } from '../config.ts'
import type { Workspace } from '../session/workspace.ts'
import { findUser } from '../sys/users.ts'
import { fullPlaces } from './space.ts'
import type { Stop } from './stop.ts'

export interface Readiness {
  readonly ready: boolean
  /** In plain words; empty when it is ready. */
  readonly reasons: readonly string[]
}

export interface ReadinessOptions {
  readonly config: Pick<Config, 'runDir' | 'user'>
  readonly stop: Pick<Stop, 'state'>
  readonly workspace: Pick<Workspace, 'state'>
  /** What has to be said first; `null`: nothing. */
  readonly waitsFor: () => string | null
}

/** Looks anew with each call. */
export function createReadiness(options: ReadinessOptions): () => Readiness {
  const { config, stop, workspace, waitsFor } = options
  const places = [
    { name: 'root file system', path: '/' },
    { name: 'runDir', path: config.runDir },
  ]
  return () => {
    const { ok, reason } = workspace.state()
    const waiting = waitsFor()
    const reasons = [
      ...(stop.state === 'ready' ? [] : [`guestd is ${stop.state}`]),
      ...(isKnown(config.user) ? [] : [`user: there is no user ${config.user}`]),
      ...(waiting === null ? [] : [waiting]),
      // It may wait for the same.
      ...(ok || reason === waiting ? [] : [`workspace: ${reason}`]),
      ...fullPlaces(places),
    ]
    return { ready: reasons.length === 0, reasons }
  }
}

/** The user may be made later: it is looked up for every command. */
function isKnown(user: Config['user']): boolean {
  try {
    return user === null || findUser(user) !== null
  } catch {
    return false
  }
}
