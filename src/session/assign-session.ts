/** The session that the host has set for this boot. It survives a restart of guestd. */
import type { TSchema } from 'typebox'
import * as Type from 'typebox'
import type { SessionRequest } from '../protocol/schemas.ts'
import { createSerialQueue } from '../util/serial-queue.ts'
import type { Owner } from '../volume/owner.ts'
import { bootFile } from './boot-file.ts'
import { type Renewal, renewalOf } from './renewal.ts'

/** The result of a request; `null`: it changes nothing. */
export type Assigned = { readonly kind: 'set' } | ({ readonly kind: 'renewed' } & Renewal) | null

export interface SessionAssignment {
  /** `null` until the session is set. */
  readonly request: SessionRequest | null
  /**
   * Sets the session, or renews it if it is set. A renewal replaces everything except the id and the runtime version. It
   * is stored before it is in force.
   *
   * @param bind called for a new session, before it is set. If it throws, nothing changes
   * @throws GuestdError `session_set`
   */
  assignSession(request: SessionRequest, bind: (owner: Owner) => Promise<void>): Promise<Assigned>
  /** Writes it again, after `runDir` was lost. @throws if it cannot be written */
  save(): void
}

const FILE = 'session.json'

/** The fields that guestd reads. Another version of guestd may have written more. */
const StoredSession = Type.Object({
  id: Type.String(),
  runtimeVersion: Type.Optional(Type.String()),
  env: Type.Optional(mapOf(Type.String())),
  limits: Type.Optional(mapOf(Type.Number())),
  idleMs: Type.Optional(Type.Number()),
  lifetimeMs: Type.Optional(Type.Number()),
})

function mapOf(values: TSchema) {
  return Type.Object({}, { additionalProperties: values })
}

/** @param bootId a session of an earlier boot does not count */
export function openSessionAssignment(runDir: string, bootId: string): SessionAssignment {
  const file = bootFile<SessionRequest>(runDir, FILE, bootId, StoredSession)
  let request = file.read()
  /** Requests are taken one at a time: the first one wins. */
  const inOrder = createSerialQueue()

  const assign: SessionAssignment['assignSession'] = async (given, bind) => {
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
    assignSession: (given, bind) => inOrder(() => assign(given, bind)),
    save: file.save,
  }
}

export function ownerOf({ id, runtimeVersion }: SessionRequest): Owner {
  return { sessionId: id, runtimeVersion: runtimeVersion ?? null }
}
