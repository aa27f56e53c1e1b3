/** Emits `ready` and `not_ready` whenever that changes. */
import type { Events } from '../events/event-log.ts'
import type { Ready } from './readiness.ts'

export interface ReadyEvents {
  /** Evaluates, and emits an event on a change, so the result always agrees with the last event. */
  check(): Ready
  /** Evaluates every 2 s from now on, and after each event of the workspace. */
  watch(): void
}

/** Longest time until a full disk or a missing user is noticed, in milliseconds. */
const CHECK_MS = 2_000

export interface ReadyEventsOptions {
  readonly evaluate: () => Ready
  readonly events: Pick<Events, 'emit' | 'subscribe'>
  /** The stop of the session has begun: from then on it emits nothing. */
  readonly isStopping: () => boolean
  /** Of the `ready` event. */
  readonly facts: { readonly version: string; readonly restarted: boolean }
}

export function createReadyEvents(options: ReadyEventsOptions): ReadyEvents {
  const { evaluate, events, isStopping, facts } = options
  /** Codes of the last event; `null`: before the first one. */
  let last: string | null = null
  let timer: NodeJS.Timeout | undefined

  const emitChange = ({ ready, reasons }: Ready) => {
    const codes = reasons.map(({ code }) => code).join()
    if (codes === last) return
    last = codes
    events.emit(ready ? { type: 'ready', ...facts } : { type: 'not_ready', reasons: [...reasons] })
  }

  const check = (): Ready => {
    const now = evaluate()
    if (isStopping()) clearInterval(timer)
    else if (timer !== undefined) emitChange(now)
    return now
  }

  return {
    check,
    watch() {
      timer = setInterval(check, CHECK_MS).unref()
      events.subscribe(({ type }) => {
        // Later: the workspace enters the state after the event.
        if (type.startsWith('workspace_') && !isStopping()) setImmediate(check)
      })
      emitChange(evaluate())
    },
  }
}
