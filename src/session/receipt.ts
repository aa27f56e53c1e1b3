/** What the end of a workspace is told with. */

export interface Receipt {
  /** ISO 8601, UTC. */
  readonly at: string
  readonly generation: number | null
  readonly device: string
  /** `shutdown`: it stayed busy, was written out and takes no more writes. `none`: neither could be done. */
  readonly how: 'unmount' | 'shutdown' | 'none'
  /** What the machine had yet to write when the flush began. */
  readonly dirtyBytes: number
  /** Of the flush alone, and of all. */
  readonly flushMs: number
  readonly ms: number
  /** From when on failed writes are known: `restart` when this daemon took the mount over. */
  readonly errorsSince: 'mount' | 'restart'
  readonly errors: readonly string[]
  /** Who kept it from being unmounted. */
  readonly heldBy: string | null
  /** All that was written is on the device, and its file system has nothing to recover. */
  readonly clean: boolean
}

export interface Step {
  readonly name: string
  readonly state: 'started' | 'running' | 'done' | 'failed'
  readonly ms: number
  /** Of a failed one. */
  readonly reason?: string
}

export type Report = (step: Step) => void
