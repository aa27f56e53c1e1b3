/** Reads what a command left in its pipes at its exit, also where another process holds them open. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PipeReader } from '../sys/pipes.ts'

/** Time from the exit to `end` while a write end is open: enough for a `> >(tee …)` to write what it has read. */
const DRAIN_MS = 250
/** Bytes read in one turn of the event loop: what an unprivileged user may enlarge a pipe to (pipe(7)). */
const STEP_BYTES = 1024 * 1024

export interface DrainOptions {
  readonly pipes: readonly PipeReader[]
  /** Whether the pipes have ended meanwhile. */
  readonly isOver: () => boolean
  readonly drained: () => void
}

/**
 * Calls `drained` after {@link DRAIN_MS}, once all that the pipes held at that moment is read. A starter that reads
 * slowly, or not at all, does not delay this: the log keeps the bytes for it.
 */
export function drain({ pipes, isOver, drained }: DrainOptions): void {
  const finish = async () => {
    if (isOver()) return
    await readPending(pipes)
    if (!isOver()) drained()
  }
  // On a busy loop timers come due before the pipes have been read: setImmediate comes after.
  setTimeout(() => setImmediate(finish), DRAIN_MS)
}

/** Reads what the pipes hold now, paused or not, and no more: a process that continues to write does not prolong it. */
export async function readPending(pipes: readonly PipeReader[]): Promise<void> {
  // The list is emptied when the last pipe ends.
  await Promise.all([...pipes].map(readOne))
}

async function readOne(pipe: PipeReader): Promise<void> {
  let left = pipe.pending()
  for (;;) {
    const read = pipe.drain(Math.min(left, STEP_BYTES))
    left -= read
    if (left <= 0 || read === 0) return
    await nextTurn()
  }
}
