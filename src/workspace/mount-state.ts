/**
 * The states of a workspace on a device, and what each event does to them. Pure: `mount-driver.ts` carries out the
 * effects. States hold no texts: `mount-reason.ts` has those.
 */
import type { GuestdError } from '../errors.ts'

/** Nothing is mounted and no attempt runs. */
export type IdleState =
  /** `requireSession`: the host has not set the session yet. */
  | { readonly name: 'waiting' }
  /** The last attempt failed. The next one follows after a pause. */
  | { readonly name: 'absent'; readonly failure: GuestdError }
  /** The volume belongs to another session. Only a new session starts another attempt. */
  | { readonly name: 'foreign'; readonly failure: GuestdError }

export type MountState =
  | IdleState
  /** An attempt runs. `before` is the state before it; `null`: it is the first one. */
  | { readonly name: 'mounting'; readonly before: IdleState | null }
  | { readonly name: 'mounted' }
  /** It is mounted, but the host has set a session that does not own the volume. No command starts. */
  | { readonly name: 'refused'; readonly failure: GuestdError }
  /** The stop has begun while an attempt runs. */
  | { readonly name: 'cancelling'; readonly before: IdleState | null }
  | { readonly name: 'unmounting' }
  | { readonly name: 'unmounted' }
  /** The stop found nothing mounted. */
  | { readonly name: 'closed'; readonly before: IdleState }

export type MountEvent =
  /** The host has set a session. */
  | { readonly type: 'bind' }
  /** The pause after a failed attempt is over. */
  | { readonly type: 'retry' }
  /** The attempt has mounted the volume. */
  | { readonly type: 'succeeded' }
  | { readonly type: 'failed'; readonly failure: GuestdError }
  /** The session that the host has set owns the mounted volume. */
  | { readonly type: 'accepted' }
  | { readonly type: 'refused'; readonly failure: GuestdError }
  | { readonly type: 'end' }
  | { readonly type: 'unmounted' }

export type MountEffect =
  /** Start an attempt. */
  | 'attempt'
  /** Send `retry` after a pause. */
  | 'retryLater'
  /** Abort the attempt that runs. */
  | 'cancel'
  /** Log and emit why the workspace is not there. */
  | 'reportFailure'
  /** Log and emit why the workspace takes no commands. */
  | 'reportRefusal'
  | 'unmount'
  /** The stop has nothing to unmount. */
  | 'endWithoutMount'

export interface MountStep {
  readonly state: MountState
  readonly effects: readonly MountEffect[]
}

type StateOf<Name extends MountState['name']> = Extract<MountState, { readonly name: Name }>
type EventOf<Type extends MountEvent['type']> = Extract<MountEvent, { readonly type: Type }>
type Transition<Name extends MountState['name'], Type extends MountEvent['type']> = (
  state: StateOf<Name>,
  event: EventOf<Type>,
) => MountStep

/** An event without a transition is ignored: it may arrive late, as a timer does. */
type Table = {
  readonly [Name in MountState['name']]: {
    readonly [Type in MountEvent['type']]?: Transition<Name, Type>
  }
}

/** @param waits the first attempt waits for the session */
export function firstStep(waits: boolean): MountStep {
  return waits ? to({ name: 'waiting' }) : to({ name: 'mounting', before: null }, 'attempt')
}

export function transition(state: MountState, event: MountEvent): MountStep {
  const row: { readonly [Type in MountEvent['type']]?: unknown } = table[state.name]
  // The row belongs to the state and the cell to the event, which TypeScript cannot follow.
  const cell = row[event.type] as ((state: MountState, event: MountEvent) => MountStep) | undefined
  return cell?.(state, event) ?? to(state)
}

const table: Table = {
  waiting: { bind: attempt, end: close },
  absent: { bind: attempt, retry: attempt, end: close },
  foreign: { bind: attempt, end: close },
  mounting: {
    succeeded: () => to({ name: 'mounted' }),
    failed: ({ before }, { failure }) => {
      const idle = idleAfter(failure)
      const report = isNews(before, failure) ? (['reportFailure'] as const) : []
      const retry = idle.name === 'absent' ? (['retryLater'] as const) : []
      return to(idle, ...report, ...retry)
    },
    end: ({ before }) => to({ name: 'cancelling', before }, 'cancel'),
  },
  mounted: {
    refused: (_, { failure }) => to({ name: 'refused', failure }, 'reportRefusal'),
    end: unmount,
  },
  refused: {
    accepted: () => to({ name: 'mounted' }),
    refused: ({ failure: known }, { failure }) =>
      to(
        { name: 'refused', failure },
        ...(isSame(known, failure) ? [] : ['reportRefusal' as const]),
      ),
    end: unmount,
  },
  cancelling: {
    succeeded: unmount,
    failed: ({ before }, { failure }) => {
      const report = isNews(before, failure) ? (['reportFailure'] as const) : []
      return to({ name: 'closed', before: idleAfter(failure) }, ...report, 'endWithoutMount')
    },
  },
  unmounting: { unmounted: () => to({ name: 'unmounted' }) },
  unmounted: {},
  closed: {},
}

function to(state: MountState, ...effects: readonly MountEffect[]): MountStep {
  return { state, effects }
}

function attempt(before: IdleState): MountStep {
  return to({ name: 'mounting', before }, 'attempt')
}

function close(before: IdleState): MountStep {
  return to({ name: 'closed', before }, 'endWithoutMount')
}

function unmount(): MountStep {
  return to({ name: 'unmounting' }, 'unmount')
}

function idleAfter(failure: GuestdError): IdleState {
  return { name: failure.code === 'session_mismatch' ? 'foreign' : 'absent', failure }
}

/** Each attempt makes its failure anew: the same failure is reported once. */
function isNews(before: IdleState | null, failure: GuestdError): boolean {
  return before === null || before.name === 'waiting' || !isSame(before.failure, failure)
}

function isSame(one: GuestdError, other: GuestdError): boolean {
  return one.code === other.code && one.message === other.message
}
