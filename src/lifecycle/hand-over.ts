/** Which session this is, as the host says it once a boot; kept over a restart of guestd. */
import { isDeepStrictEqual } from 'node:util'
import { GuestdError } from '../errors.ts'
import type { SessionRequest } from '../protocol/schemas.ts'
import type { Owner } from '../session/owner.ts'
import { bootFile } from './boot-file.ts'

export interface HandOver {
  /** `null` until it is said. */
  readonly request: SessionRequest | null
  /**
   * Takes the session over: the same one again is fine.
   *
   * @param bind has the workspace belong to it; what it throws leaves all as it was
   * @returns whether it is news
   * @throws GuestdError `session_set`
   */
  accept(request: SessionRequest, bind: (owner: Owner) => Promise<void>): Promise<boolean>
}

const FILE = 'session.json'

/** @param bootId what an earlier boot was told does not count in this one */
export function openHandOver(runDir: string, bootId: string): HandOver {
  const file = bootFile<SessionRequest>(runDir, FILE, bootId)
  let request = file.read()
  /** One after the other: the first one wins. */
  let last: Promise<unknown> = Promise.resolve()

  const accept: HandOver['accept'] = async (given, bind) => {
    if (request !== null) {
      if (isDeepStrictEqual(request, given)) return false
      throw new GuestdError('session_set', `this is the session ${request.id}, and stays it`)
    }
    await bind(ownerOf(given))
    file.write(given)
    request = given
    return true
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
  }
}

export function ownerOf({ id, runtimeVersion }: SessionRequest): Owner {
  return { sessionId: id, runtimeVersion: runtimeVersion ?? null }
}
