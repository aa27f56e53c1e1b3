/** Emits `ready` and `not_ready` whenever that changes. */
import type { Emit, EventFacts } from '../events/event-log.ts'
import type { Ready } from './readiness.ts'

export interface ReadyEvents {
  /** Evaluates, and emits an event if it changed: what it returns and the last event agree. */
  check(): Ready
  /** Emits an event of another part; one of the workspace is followed by a check. */
  readonly emit: Emit
  /** Evaluates every 2 s from now on. */
  watch(): void
  end(): void
}

/** A full disk or a missing user is seen this soon, in milliseconds. */
const CHECK_MS = 2_000

/** @param facts of the `ready` event */
export function createReadyEvents(
  evaluate: () => Ready,
  emit: Emit,
  facts: { readonly version: string; readonly restarted: boolean },
): ReadyEvents {
  /** Codes of the last event; `null`: before the first one. */
  let last: string | null = null
  let timer: NodeJS.Timeout | undefined
  let ended = false

  const check = (): Ready => {
    const now = evaluate()
    if (timer === undefined) return now
    const codes = now.reasons.map(({ code }) => code).join()
    if (codes === last) return now
    last = codes
    emit(now.ready ? { type: 'ready', ...facts } : { type: 'not_ready', reasons: [...now.reasons] })
    return now
  }

  return {
    check,
    emit(event: EventFacts) {
      emit(event)
      // Later, when the workspace has the state of the event.
      if (timer !== undefined && event.type.startsWith('workspace_')) setImmediate(check)
    },
    watch() {
      if (ended) return
      timer = setInterval(check, CHECK_MS).unref()
      check()
    },
    end() {
      ended = true
      clearInterval(timer)
      timer = undefined
    },
  }
}
