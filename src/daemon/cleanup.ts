/** What guestd has opened, so that its end, and a start that fails, close it in reverse order. */

export interface Cleanup {
  /** Adds how to close what was opened just now. */
  add(close: () => unknown): void
  /** Closes everything, the last one first. An error does not stop it. */
  run(): Promise<void>
}

export function createCleanup(): Cleanup {
  const closers: (() => unknown)[] = []
  return {
    add: close => void closers.push(close),
    async run() {
      for (const close of closers.splice(0).reverse()) {
        try {
          await close()
        } catch {
          // The other ones are closed all the same.
        }
      }
    },
  }
}
