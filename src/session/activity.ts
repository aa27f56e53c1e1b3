/** Whether the session works, and when it last did. */

/** A part that does work, such as the commands. */
export interface WorkSource {
  /** Work goes on: the session is not idle. */
  isBusy(): boolean
  /** Processes are left, also those that do not count as work. */
  hasProcesses(): boolean
}

export interface Activity extends WorkSource {
  add(source: WorkSource): void
  /** Work has begun or ended just now. Costs an assignment. */
  touch(): void
  /** When work last began or ended, a `performance.now()` time: `now` while work goes on. */
  lastAt(now: number): number
  /** Milliseconds since the last work; 0 while work goes on. */
  idleForMs(): number
}

/** The start counts as work. */
export function createActivity(): Activity {
  const sources: WorkSource[] = []
  let touchedAt = performance.now()
  const isBusy = () => sources.some(source => source.isBusy())
  const lastAt = (now: number) => (isBusy() ? now : touchedAt)
  return {
    isBusy,
    hasProcesses: () => sources.some(source => source.hasProcesses()),
    add: source => void sources.push(source),
    touch() {
      touchedAt = performance.now()
    },
    lastAt,
    idleForMs() {
      const now = performance.now()
      return now - lastAt(now)
    },
  }
}
