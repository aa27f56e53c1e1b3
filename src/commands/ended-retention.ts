/** How long ended commands can be read: for a time, and only so many; the oldest go first. */

export interface Retention {
  add(id: string): void
  /** The ids whose time is over, or that are too many, oldest first. They are no longer held. */
  takeExpired(): readonly string[]
}

export function createRetention(keepMs: number, keepCommands: number): Retention {
  /** Insertion order is the order of the ends. */
  const endedAt = new Map<string, number>()
  return {
    add: id => endedAt.set(id, performance.now()),
    takeExpired() {
      const expired: string[] = []
      const oldest = performance.now() - keepMs
      for (const [id, at] of endedAt) {
        if (at > oldest && endedAt.size <= keepCommands) break
        endedAt.delete(id)
        expired.push(id)
      }
      return expired
    },
  }
}
