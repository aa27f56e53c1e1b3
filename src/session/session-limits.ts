/**
 * The idle and the lifetime limit of the session. All is reckoned on the monotonic clock, which
 * stands still in a machine that is suspended, and never jumps as the time of day does.
 */

export interface LimitSettings {
  /** 0: none. */
  readonly idleMs: number
  /** 0: none. */
  readonly lifetimeMs: number
}

export interface SessionLimits {
  /** Work has begun or ended just now. Costs an assignment. */
  touch(): void
  /** Begins to watch, and looks again where the limits have changed. */
  watch(): void
  /** Limits are reached no more. */
  end(): void
  /** Milliseconds since the last work; 0 while there is work. */
  idleForMs(): number
  facts(): LimitSettings & {
    /** `null` while there is work. */
    readonly idleSince: string | null
    /** When the first of the limits would be reached; `null` where none would. */
    readonly endsAt: string | null
  }
}

export interface SessionLimitsOptions {
  readonly limits: () => LimitSettings
  /** When the lifetime began, of `performance.now()`. */
  readonly bornAt: number
  readonly busy: () => boolean
  /** Called once at most. */
  readonly reached: (limit: 'idle' | 'lifetime') => void
}

/** Longest delay of a timer of Node, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1

export function createSessionLimits({
  limits,
  bornAt,
  busy,
  reached,
}: SessionLimitsOptions): SessionLimits {
  let activeAt = performance.now()
  let timer: NodeJS.Timeout | undefined
  let ended = false

  const lastActive = (now: number) => (busy() ? now : activeAt)

  /** When each limit would be reached if nothing was done from now on. */
  const ends = (now: number) => {
    const { idleMs, lifetimeMs } = limits()
    return {
      idle: idleMs > 0 ? lastActive(now) + idleMs : Number.POSITIVE_INFINITY,
      lifetime: lifetimeMs > 0 ? bornAt + lifetimeMs : Number.POSITIVE_INFINITY,
    }
  }

  const end = () => {
    ended = true
    clearTimeout(timer)
  }

  /** One timer for both; activity does not touch it, and is looked at when it fires. */
  const look = () => {
    clearTimeout(timer)
    if (ended) return
    const now = performance.now()
    const { idle, lifetime } = ends(now)
    if (Math.min(idle, lifetime) <= now) {
      end()
      reached(lifetime <= now ? 'lifetime' : 'idle')
      return
    }
    const left = Math.min(idle, lifetime) - now
    if (Number.isFinite(left)) timer = setTimeout(look, Math.min(left + 1, MAX_TIMER_MS)).unref()
  }

  const timeAt = (at: number) => new Date(Date.now() + at - performance.now()).toISOString()

  return {
    touch() {
      activeAt = performance.now()
    },
    watch: look,
    end,
    idleForMs() {
      const now = performance.now()
      return now - lastActive(now)
    },
    facts() {
      const now = performance.now()
      const isBusy = busy()
      const { idle, lifetime } = ends(now)
      const first = isBusy ? lifetime : Math.min(idle, lifetime)
      return {
        ...limits(),
        idleSince: isBusy ? null : timeAt(activeAt),
        endsAt: ended || !Number.isFinite(first) ? null : timeAt(first),
      }
    },
  }
}
