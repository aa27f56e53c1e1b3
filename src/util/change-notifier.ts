/** Wakes everything that waits for a change. */
export interface ChangeNotifier {
  /** Resolves at the next call of {@link ChangeNotifier.notify}. */
  next(): Promise<void>
  notify(): void
}

export function createChangeNotifier(): ChangeNotifier {
  let change = Promise.withResolvers<void>()
  return {
    next: () => change.promise,
    notify() {
      change.resolve()
      change = Promise.withResolvers()
    },
  }
}
