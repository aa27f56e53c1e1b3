/**
 * The idle limit and the lifetime of the session. All times are of the monotonic clock: it does not run while the machine
 * is suspended, and setting the time of day does not move it.
 */
import type { Activity } from './activity.ts'

export interface LimitSettings {
  /** 0: none. */
  readonly idleMs: number
  /** 0: none. */
  readonly lifetimeMs: number
}

export interface SessionLimits {
  /** Begins to watch. Call it again when the limits have changed. */
  watch(): void
  facts(): LimitSettings & {
    /** `null` while work goes on. */
    readonly idleSince: string | null
    /** When the session reaches the first of its limits; `null`: never. */
    readonly endsAt: string | null
  }
}

export interface SessionLimitsOptions {
  readonly limits: () => LimitSettings
  /** When the lifetime began, a `performance.now()` time. */
  readonly bornAt: number
  readonly activity: Pick<Activity, 'isBusy' | 'lastAt'>
  /** The stop of the session has begun: no limit is reached any more. */
  readonly isStopping: () => boolean
  /** Called once at most. */
  readonly reached: (limit: 'idle' | 'lifetime') => void
}

/** Longest delay of a timer of Node, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1

export function createSessionLimits(options: SessionLimitsOptions): SessionLimits {
  const { limits, bornAt, activity, isStopping, reached } = options
  let timer: NodeJS.Timeout | undefined
  let wasReached = false

  /** When each limit is reached if no work begins from now on. */
  const ends = (now: number) => {
    const { idleMs, lifetimeMs } = limits()
    return {
      idle: idleMs > 0 ? activity.lastAt(now) + idleMs : Number.POSITIVE_INFINITY,
      lifetime: lifetimeMs > 0 ? bornAt + lifetimeMs : Number.POSITIVE_INFINITY,
    }
  }

  /** One timer for both limits. Work does not move it: when it fires, the time of the last work counts. */
  const check = () => {
    clearTimeout(timer)
    if (wasReached || isStopping()) return
    const now = performance.now()
    const { idle, lifetime } = ends(now)
    const leftMs = Math.min(idle, lifetime) - now
    if (leftMs <= 0) {
      wasReached = true
      reached(lifetime <= now ? 'lifetime' : 'idle')
    } else if (Number.isFinite(leftMs)) {
      timer = setTimeout(check, Math.min(leftMs + 1, MAX_TIMER_MS)).unref()
    }
  }

  const timeAt = (at: number) => new Date(Date.now() + at - performance.now()).toISOString()

  return {
    watch: check,
    facts() {
      const now = performance.now()
      const isBusy = activity.isBusy()
      const { idle, lifetime } = ends(now)
      const first = isBusy ? lifetime : Math.min(idle, lifetime)
      const isOver = wasReached || isStopping()
      return {
        ...limits(),
        idleSince: isBusy ? null : timeAt(activity.lastAt(now)),
        endsAt: isOver || !Number.isFinite(first) ? null : timeAt(first),
      }
    },
  }
}
