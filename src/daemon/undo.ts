/** What a start has opened, so that a start that fails can close it again. */

export interface Undo {
  /** Adds how to close what was opened just now. */
  add(close: () => unknown): void
  /** Closes all of it, the last one first. What fails is left: the others are closed all the same. */
  all(): Promise<void>
}

export function createUndo(): Undo {
  const closers: (() => unknown)[] = []
  return {
    add: close => void closers.push(close),
    async all() {
      for (const close of closers.splice(0).reverse()) {
        try {
          await close()
        } catch {
          // The reason why the start failed is what counts.
        }
      }
    },
  }
}
