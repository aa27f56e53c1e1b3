/** Whether what is left in memory leaves commands too little to run. */
import type { Emit } from '../events/event-log.ts'
import type { CommandsMemory } from '../sys/commands-memory.ts'

/** With less than this share of their memory commands wait long for each page. */
const LEAST_SHARE = 1 / 8
/** It counts as full until this share is there again, so that a little more or less changes nothing. */
const ENOUGH_SHARE = 3 / 16
const MIB = 1024 * 1024

/** Looks at each call, and emits an event `memory` when that changes. Returns why guestd is not ready, or `null`. */
export function createMemoryWatch(
  read: () => CommandsMemory | null,
  emit: Emit,
): () => string | null {
  let full = false
  return () => {
    const memory = read()
    if (memory === null) return null
    const { limitBytes, leftBytes } = memory
    const wasFull = full
    full = limitBytes - leftBytes < limitBytes * (wasFull ? ENOUGH_SHARE : LEAST_SHARE)
    if (full !== wasFull) emit({ type: 'memory', full, limitBytes, leftBytes })
    return full ? `memory: files in memory and shared memory hold ${shares(memory)}` : null
  }
}

function shares({ leftBytes, limitBytes }: CommandsMemory): string {
  const [left, limit] = [leftBytes, limitBytes].map(bytes => Math.round(bytes / MIB))
  return `${left} of the ${limit} MiB that commands may take`
}
