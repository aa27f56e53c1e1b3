/** What people read of the state of a mount, and its code in the API. Pure. */
import type { ReasonCode } from '../protocol/schemas.ts'
import type { IdleState, MountState } from './mount-state.ts'

const WAITING = 'the host has not set the session: PUT /v1/session'

/** Why the workspace cannot be used; `null`: it is mounted, and commands may use it. */
export function mountReason(state: MountState): string | null {
  switch (state.name) {
    case 'mounted':
      return null
    case 'refused':
      return state.failure.message
    case 'mounting':
    case 'cancelling':
      return state.before === null ? 'it is being mounted' : idleWords(state.before)
    case 'unmounting':
      return 'it is being unmounted'
    case 'unmounted':
      return 'it has been unmounted'
    case 'closed':
      return idleWords(state.before)
    default:
      return idleWords(state)
  }
}

/** The same as a code; `null`: it is mounted, and commands may use it. */
export function mountReasonCode(state: MountState): ReasonCode | null {
  switch (state.name) {
    case 'mounted':
      return null
    case 'refused':
    case 'foreign':
      return 'session_mismatch'
    case 'mounting':
    case 'cancelling':
      return attemptCode(state.before)
    case 'waiting':
      return 'waiting_for_session'
    case 'closed':
      return mountReasonCode(state.before)
    default:
      return 'workspace_unavailable'
  }
}

/** An attempt after a failure does not hide the failure. */
function attemptCode(before: IdleState | null): ReasonCode {
  if (before === null) return 'starting'
  return before.name === 'waiting' ? 'waiting_for_session' : 'workspace_unavailable'
}

function idleWords(state: IdleState): string {
  return state.name === 'waiting' ? WAITING : state.failure.message
}
