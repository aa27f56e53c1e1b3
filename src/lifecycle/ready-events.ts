/** Emits `ready` and `not_ready` whenever that changes. */
import type { EventFacts, Tell } from '../session/events.ts'
import type { Ready } from './readiness.ts'

export interface ReadyEvents {
  /** Evaluates, and emits an event if it changed: whoever asks sees what the events say. */
  check(): Ready
  /** For events of others: what changes the readiness of the workspace is followed by its own event. */
  readonly tell: Tell
  /** Evaluates every 2 s from now on. */
  watch(): void
  end(): void
}

/** A full disk or a missing user is seen this soon, in milliseconds. */
const CHECK_MS = 2_000

/** @param facts of the `ready` event */
export function createReadyEvents(
  evaluate: () => Ready,
  tell: Tell,
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
    tell(now.ready ? { type: 'ready', ...facts } : { type: 'not_ready', reasons: [...now.reasons] })
    return now
  }

  return {
    check,
    tell(event: EventFacts) {
      tell(event)
      // Once the workspace has the state that it tells of.
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
