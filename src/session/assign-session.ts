/** The session that the host has set for this boot; kept over a restart of guestd. */
import type { SessionRequest } from '../protocol/schemas.ts'
import type { Owner } from '../volume/owner.ts'
import { bootFile } from './boot-file.ts'
import { isSession } from './kept-shapes.ts'
import { type Renewal, renewalOf } from './renewal.ts'

/** What a hand-over did; `null`: nothing, it is the same as before. */
export type Accepted = { readonly kind: 'set' } | ({ readonly kind: 'renewed' } & Renewal) | null

export interface HandOver {
  /** `null` until the session is set. */
  readonly request: SessionRequest | null
  /**
   * Sets the session, or renews it where it is set. A renewal replaces all but the id and the
   * runtime version, and is durable before it is in force.
   *
   * @param bind called for a new session: the workspace belongs to it from then on. What it throws leaves all as it was
   * @throws GuestdError `session_set`
   */
  accept(request: SessionRequest, bind: (owner: Owner) => Promise<void>): Promise<Accepted>
  /** Writes it once more, as after `runDir` was lost. @throws where it cannot be written */
  save(): void
}

const FILE = 'session.json'

/** @param bootId what an earlier boot was told does not count in this one */
export function openHandOver(runDir: string, bootId: string): HandOver {
  const file = bootFile<SessionRequest>(runDir, FILE, bootId, isSession)
  let request = file.read()
  /** One after the other: the first one wins. */
  let last: Promise<unknown> = Promise.resolve()

  const accept: HandOver['accept'] = async (given, bind) => {
    const renewal = request === null ? null : renewalOf(request, given)
    if (request !== null && renewal === null) return null
    if (request === null) await bind(ownerOf(given))
    file.write(given)
    request = given
    return renewal === null ? { kind: 'set' } : { kind: 'renewed', ...renewal }
  }

  return {
    get request() {
      return request
    },
    accept(given, bind) {
      const accepted = last.then(() => accept(given, bind))
      last = accepted.catch(() => {})
      return accepted
    },
    save: file.save,
  }
}

export function ownerOf({ id, runtimeVersion }: SessionRequest): Owner {
  return { sessionId: id, runtimeVersion: runtimeVersion ?? null }
}
