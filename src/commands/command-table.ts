/** Which commands there are: those that are alive, and those that have ended and can still be read. */
import type { BlockPool } from './blocks.ts'
import type { Ended } from './ended-command.ts'
import type { Retention } from './ended-retention.ts'
import type { ManagedCommand } from './managed-command.ts'
import { discardSlot, type Slot } from './slot.ts'

export interface CommandTable {
  /** Running, or ended with descendants or open pipes. They count against `maxCommands`, and are never forgotten. */
  readonly live: ReadonlyMap<string, ManagedCommand>
  /** How many have no announced end. */
  readonly unendedCount: number
  find(id: string): Slot | undefined
  readonly size: number
  /** Oldest first. */
  list(): readonly Slot[]
  /** Counts a command that is about to be launched as alive. `add` or `forget` follows. */
  begin(command: ManagedCommand): void
  add(slot: Slot): void
  addEnded(ended: Ended, digest: string | null): void
  ended(id: string): void
  /** From now on the retention counts, and the command is reduced to what is kept once it has no reader. */
  settled(id: string): void
  forget(id: string): void
}

export interface CommandTableOptions {
  readonly retention: Retention
  /** The memory of the outputs: trimmed now and then, freed when no command is left. */
  readonly pool: BlockPool
  readonly forgotten: (id: string) => void
}

/** Interval of the checks for commands that have expired or can be reduced, and for descendants that have exited. */
const SWEEP_MS = 1_000

export function createCommandTable({
  retention,
  pool,
  forgotten,
}: CommandTableOptions): CommandTable {
  const slots = new Map<string, Slot>()
  const live = new Map<string, ManagedCommand>()
  const unended = new Set<string>()
  /** To be retired once they have no reader. */
  const settled = new Set<string>()
  let sweeper: NodeJS.Timeout | undefined

  const forget = (id: string) => {
    const slot = slots.get(id)
    if (slot !== undefined) discardSlot(slot)
    for (const ids of [slots, live, unended, settled]) ids.delete(id)
    forgotten(id)
  }

  const forgetExpired = () => {
    for (const id of retention.takeExpired()) forget(id)
  }

  const retire = (id: string) => {
    const slot = slots.get(id)
    if (slot === undefined || 'retired' in slot.command) return
    const retired = slot.command.retire()
    if (retired === null) return
    slots.set(id, { id, command: { retired }, digest: slot.digest, launched: null })
    settled.delete(id)
  }

  const sweep = () => {
    for (const command of live.values()) command.sweep()
    forgetExpired()
    for (const id of settled) retire(id)
    pool.trim()
    if (slots.size > 0) return
    pool.clear()
    clearInterval(sweeper)
    sweeper = undefined
  }

  const add = (slot: Slot) => {
    slots.set(slot.id, slot)
    sweeper ??= setInterval(sweep, SWEEP_MS)
    sweeper.unref()
  }

  return {
    live,
    get unendedCount() {
      return unended.size
    },
    get size() {
      return slots.size
    },
    find: id => slots.get(id),
    list: () => [...slots.values()],
    begin(command) {
      live.set(command.id, command)
      unended.add(command.id)
    },
    add,
    addEnded(retired, digest) {
      const { id } = retired.life
      add({ id, command: { retired }, digest, launched: null })
      retention.add(id)
    },
    ended: id => void unended.delete(id),
    settled(id) {
      live.delete(id)
      settled.add(id)
      retention.add(id)
      forgetExpired()
    },
    forget,
  }
}
