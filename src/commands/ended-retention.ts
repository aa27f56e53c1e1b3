/** Which ended commands can still be read: those of the last `keepMs`, at most `keepCommands`. The oldest go first. */

export interface Retention {
  add(id: string): void
  /** Removes and returns the ids that are too old or too many, oldest first. */
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
