/** Whether files in memory leave commands too little memory. */
import type { Emit } from '../events/event-log.ts'
import type { CommandsMemory } from '../sys/commands-memory.ts'

/** With a smaller free share of their memory commands wait long for each page. */
const LEAST_SHARE = 1 / 8
/** The memory counts as full until this share is free again: small changes do not flip the state. */
const ENOUGH_SHARE = 3 / 16
const MIB = 1024 * 1024

/** Each call reads the memory, and emits `memory` on a change. It returns why guestd is not ready, or `null`. */
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
