/** What a second `PUT /v1/session` changes. */
import { GuestdError } from '../errors.ts'
import type { SessionRequest } from '../protocol/schemas.ts'
import { firstOf } from '../util/cut-text.ts'

export interface Renewal {
  /** Names of the fields that differ, nested ones with dots: `env.TOKEN`, `limits.pids`. */
  readonly changed: readonly string[]
  /** Number of fields that differ and are not in the list. */
  readonly more: number
}

/** Longest list of names in an event or a log line. */
export const MAX_NAMES = 64
/** The host chooses the names of variables: longer ones are cut. */
export const MAX_NAME_CHARACTERS = 128

/**
 * The changes of environment, limits, idle limit and lifetime. `null`: there are none.
 *
 * @throws GuestdError `session_set` with the field that differs and is fixed
 */
export function renewalOf(before: SessionRequest, given: SessionRequest): Renewal | null {
  if (given.id !== before.id) {
    throw fixed('id', `the session is already ${before.id}: its id is fixed in this boot`)
  }
  if (given.runtimeVersion !== before.runtimeVersion) {
    const version = before.runtimeVersion
    const which = version === undefined ? 'no runtime version' : `the runtime version ${version}`
    const detail = `the session ${before.id} was set with ${which}, which is fixed in this boot`
    throw fixed('runtimeVersion', detail)
  }
  const names = [
    ...differences('env', before.env, given.env),
    ...differences('limits', before.limits, given.limits),
    ...(['idleMs', 'lifetimeMs'] as const).filter(name => before[name] !== given[name]),
  ]
  if (names.length === 0) return null
  const changed = names.slice(0, MAX_NAMES).map(name => firstOf(name, MAX_NAME_CHARACTERS))
  return { changed, more: names.length - changed.length }
}

function differences(field: string, before: object = {}, given: object = {}): string[] {
  // Maps: a variable can be named like a member of Object.prototype.
  const old = new Map<string, unknown>(Object.entries(before))
  const now = new Map<string, unknown>(Object.entries(given))
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter(name => old.has(name) !== now.has(name) || old.get(name) !== now.get(name))
    .map(name => `${field}.${name}`)
}

function fixed(field: string, detail: string): GuestdError {
  return new GuestdError('session_set', detail, { field })
}
