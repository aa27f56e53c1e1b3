/**
 * What happens to the session, kept for whoever asks, and told to whoever follows. Readers pull:
 * nothing is buffered for one but its place, so a slow one costs nobody anything, and gets a `gap`.
 *
 * A cursor is "bootId:seq". The numbers begin at the microseconds of CLOCK_MONOTONIC, so those of a
 * guestd that was started again are above all of the one before it, which told less than one event
 * a microsecond: nothing has to be written down.
 */
import { GuestdError } from '../errors.ts'
import type { SessionEvent } from '../protocol/schemas.ts'
import { firstOf } from '../util/cut-text.ts'

type WithoutPlace<Event> = Event extends unknown ? Omit<Event, 'cursor' | 'at'> : never
/** An event without its cursor; its time is now, unless it has one. */
export type EventFacts = WithoutPlace<SessionEvent> & { readonly at?: string }
export type Emit = (facts: EventFacts) => void

export interface Events {
  readonly emit: Emit
  /** The session has stopped: no event will come any more. */
  end(): void
  /** Whether all was told, and a reader at the cursor has it. */
  isOver(cursor: string): boolean
  /**
   * @param cursor of the last event seen; `null`: from the oldest that is held
   * @throws GuestdError `invalid_request`, `cursor_out_of_range`
   */
  attach(cursor: string | null, follow: boolean): EventReader
  /** Calls the listener with each event from now on, at once. It must not throw. */
  subscribe(listener: (event: SessionEvent) => void): void
  /** Resolves once every follower of now has gone. */
  followed(): Promise<void>
}

export interface EventReader {
  /** The next one, or `null`: then `onReadable` is called once there is one, or once it is done. */
  read(): SessionEvent | null
  /** No event will follow. */
  readonly done: boolean
  /** Of the last event read. */
  readonly cursor: string
  onReadable: (() => void) | null
  close(): void
}

/**
 * Kept of each kind, so that thousands of commands do not take the place of what happened to the
 * session. An event is about 400 B in memory.
 */
const KEPT = 1_000
/** Of a reason in an event: it may list all devices. */
const MAX_CHARACTERS = 1_024
const NS_PER_US = 1_000n

interface Held {
  readonly seq: number
  readonly event: SessionEvent
}

export function createEvents(bootId: string): Events {
  const rings = { session: [] as Held[], commands: [] as Held[] }
  const first = Number(process.hrtime.bigint() / NS_PER_US)
  let last = first
  let over = false
  const listeners: ((event: SessionEvent) => void)[] = []
  const readers = new Map<EventReader, PromiseWithResolvers<void>>()
  const cursorOf = (seq: number) => `${bootId}:${seq}`

  /** The oldest event that is held and is newer. */
  const after = (seq: number): Held | undefined => {
    const [one, other] = [rings.session, rings.commands].map(ring => ring[firstAbove(ring, seq)])
    if (one === undefined || other === undefined) return one ?? other
    return one.seq < other.seq ? one : other
  }

  const wake = () => {
    for (const reader of readers.keys()) reader.onReadable?.()
  }

  const seqOf = (cursor: string): number | null => {
    const [, boot, seq] = /^([0-9a-f-]{36}):(\d{1,16})$/.exec(cursor) ?? []
    const field = { field: 'cursor' }
    if (boot === undefined || !Number.isSafeInteger(Number(seq)))
      throw new GuestdError('invalid_request', 'the cursor is none of an event', field)
    if (boot !== bootId) return null
    if (Number(seq) <= last) return Number(seq)
    throw new GuestdError('cursor_out_of_range', `the last event is ${cursorOf(last)}`, field)
  }

  return {
    emit(facts) {
      if (over) return
      last += 1
      const at = facts.at ?? new Date().toISOString()
      const { type, ...rest } = shortened(facts)
      const event = { type, cursor: cursorOf(last), at, ...rest } as SessionEvent
      const ring = type.startsWith('command_') ? rings.commands : rings.session
      ring.push({ seq: last, event })
      if (ring.length > KEPT) ring.shift()
      wake()
      for (const listener of listeners) listener(event)
    },
    end() {
      over = true
      wake()
    },
    isOver: cursor => over && seqOf(cursor) === last,
    attach(cursor, follow) {
      const known = cursor === null ? first : seqOf(cursor)
      /** Of another boot: all that this one told is news. */
      let missedFrom = known === null ? cursor : null
      let place = known ?? first
      const target = follow ? Number.POSITIVE_INFINITY : last

      const gap = (from: string, to: number): SessionEvent => {
        missedFrom = null
        place = to
        const at = new Date().toISOString()
        return { type: 'gap', cursor: cursorOf(to), at, from, to: cursorOf(to) }
      }
      const reader: EventReader = {
        onReadable: null,
        get cursor() {
          return missedFrom ?? cursorOf(place)
        },
        get done() {
          return missedFrom === null && (place >= target || (over && place >= last))
        },
        read() {
          if (reader.done) return null
          const next = after(place)
          const until = next === undefined ? last : next.seq - 1
          if (missedFrom !== null) return gap(missedFrom, until)
          if (next === undefined) return null
          if (until > place) return gap(cursorOf(place), until)
          place = next.seq
          return next.event
        },
        close() {
          readers.get(reader)?.resolve()
          readers.delete(reader)
        },
      }
      readers.set(reader, Promise.withResolvers())
      return reader
    },
    subscribe: listener => void listeners.push(listener),
    async followed() {
      await Promise.all([...readers.values()].map(reader => reader.promise))
    },
  }
}

/** The index of the first one above, in a ring in the order of its numbers. */
function firstAbove(ring: readonly Held[], seq: number): number {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ring[middle]?.seq ?? 0) > seq) high = middle
    else low = middle + 1
  }
  return low
}

/** Events of commands come by the thousand, and have no such text. */
function shortened(facts: EventFacts): EventFacts {
  if (!('reason' in facts) || facts.reason.length <= MAX_CHARACTERS) return facts
  return { ...facts, reason: firstOf(facts.reason, MAX_CHARACTERS) } as EventFacts
}
