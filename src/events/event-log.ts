/**
 * The events of the session, kept for later readers. Readers pull: nothing is buffered for a reader but its position. A
 * slow reader gets a `gap` and delays nothing.
 *
 * A cursor is "bootId:seq". The sequence begins at the microseconds of CLOCK_MONOTONIC. A restarted guestd therefore
 * begins above all numbers of the earlier one, which emits less than one event per microsecond, and no number has to be
 * stored.
 */
import { GuestdError } from '../errors.ts'
import type { SessionEvent } from '../protocol/schemas.ts'
import { firstOf } from '../util/cut-text.ts'

type WithoutPlace<Event> = Event extends unknown ? Omit<Event, 'cursor' | 'at'> : never
/** An event without its cursor. Without `at` its time is now. */
export type EventFacts = WithoutPlace<SessionEvent> & { readonly at?: string }
export type Emit = (facts: EventFacts) => void

export interface Events {
  readonly emit: Emit
  /** The session has stopped: later events are ignored. */
  end(): void
  /** The session has stopped, and a reader at the cursor has all of its events. */
  isOver(cursor: string): boolean
  /**
   * @param cursor of the last event that the reader has; `null`: start at the oldest kept event
   * @throws GuestdError `invalid_request`, `cursor_out_of_range`
   */
  attach(cursor: string | null, follow: boolean): EventReader
  /** Calls the listener with each event from now on, inside {@link Events.emit}. It must not throw. */
  subscribe(listener: (event: SessionEvent) => void): void
  /** Resolves once every reader that is attached now has closed. */
  followed(): Promise<void>
}

export interface EventReader {
  /** The next event. `null`: there is none yet, and `onReadable` is called when there is, or when the reader is done. */
  read(): SessionEvent | null
  /** No event will follow. */
  readonly done: boolean
  /** Of the last event that was read. */
  readonly cursor: string
  onReadable: (() => void) | null
  close(): void
}

/**
 * Events kept of each kind. Thousands of commands do not displace the events of the session. An event takes about 400 B
 * of memory.
 */
const KEPT = 1_000
/** Longest reason in an event: it may list all devices. */
const MAX_CHARACTERS = 1_024
const NS_PER_US = 1_000n

interface Held {
  readonly seq: number
  readonly event: SessionEvent
}

/** What readers see of the log. */
interface Store {
  /** Before the first event. */
  readonly first: number
  /** Of the last event. */
  readonly last: number
  readonly isOver: boolean
  cursorOf(seq: number): string
  /** The oldest kept event after the number. */
  after(seq: number): Held | undefined
}

export function createEvents(bootId: string): Events {
  const rings = { session: [] as Held[], commands: [] as Held[] }
  const first = Number(process.hrtime.bigint() / NS_PER_US)
  let last = first
  let isOver = false
  const readers = new Map<EventReader, PromiseWithResolvers<void>>()
  const listeners: ((event: SessionEvent) => void)[] = []
  const cursorOf = (seq: number) => `${bootId}:${seq}`
  const store: Store = {
    first,
    get last() {
      return last
    },
    get isOver() {
      return isOver
    },
    cursorOf,
    after(seq) {
      const [one, other] = [rings.session, rings.commands].map(ring => ring[firstAbove(ring, seq)])
      if (one === undefined || other === undefined) return one ?? other
      return one.seq < other.seq ? one : other
    },
  }
  const wake = () => {
    for (const reader of readers.keys()) reader.onReadable?.()
  }
  const close = (reader: EventReader) => {
    readers.get(reader)?.resolve()
    readers.delete(reader)
  }

  return {
    emit(facts) {
      if (isOver) return
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
      isOver = true
      wake()
    },
    isOver: cursor => isOver && seqOf(cursor, bootId, store) === last,
    attach(cursor, follow) {
      const known = cursor === null ? first : seqOf(cursor, bootId, store)
      const reader = createReader(store, known, cursor, follow, close)
      readers.set(reader, Promise.withResolvers())
      return reader
    },
    subscribe: listener => void listeners.push(listener),
    async followed() {
      await Promise.all([...readers.values()].map(reader => reader.promise))
    },
  }
}

/**
 * @param known where to begin; `null`: the cursor is of another boot, so all events of this one are new to the reader
 */
function createReader(
  store: Store,
  known: number | null,
  cursor: string | null,
  follow: boolean,
  close: (reader: EventReader) => void,
): EventReader {
  let missedFrom = known === null ? cursor : null
  let position = known ?? store.first
  const target = follow ? Number.POSITIVE_INFINITY : store.last

  const gap = (from: string, seq: number): SessionEvent => {
    missedFrom = null
    position = seq
    const to = store.cursorOf(seq)
    return { type: 'gap', cursor: to, at: new Date().toISOString(), from, to }
  }
  const reader: EventReader = {
    onReadable: null,
    get cursor() {
      return missedFrom ?? store.cursorOf(position)
    },
    get done() {
      if (missedFrom !== null) return false
      return position >= target || (store.isOver && position >= store.last)
    },
    read() {
      if (reader.done) return null
      const next = store.after(position)
      const until = next === undefined ? store.last : next.seq - 1
      if (missedFrom !== null) return gap(missedFrom, until)
      if (next === undefined) return null
      if (until > position) return gap(store.cursorOf(position), until)
      position = next.seq
      return next.event
    },
    close: () => close(reader),
  }
  return reader
}

/** The number of a cursor; `null`: it is of another boot. @throws GuestdError */
function seqOf(cursor: string, bootId: string, { last, cursorOf }: Store): number | null {
  const [, boot, seq] = /^([0-9a-f-]{36}):(\d{1,16})$/.exec(cursor) ?? []
  const field = { field: 'cursor' }
  if (boot === undefined || !Number.isSafeInteger(Number(seq)))
    throw new GuestdError('invalid_request', 'invalid event cursor', field)
  if (boot !== bootId) return null
  if (Number(seq) <= last) return Number(seq)
  throw new GuestdError('cursor_out_of_range', `the last event is ${cursorOf(last)}`, field)
}

/** The index of the first event above the number, by binary search. */
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

/** Events of commands have no reason. */
function shortened(facts: EventFacts): EventFacts {
  if (!('reason' in facts) || facts.reason.length <= MAX_CHARACTERS) return facts
  return { ...facts, reason: firstOf(facts.reason, MAX_CHARACTERS) } as EventFacts
}
