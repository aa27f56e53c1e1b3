/** The bound over the output that all commands hold together. */
import type { OutputLog } from './output-log.ts'

export interface Budget {
  add(member: BudgetMember): void
  remove(member: BudgetMember): void
  /** Called after a member's log changed: makes room when all together are over the bound. */
  enforce(member: BudgetMember): void
  readonly heldBytes: number
}

export interface BudgetMember {
  readonly log: OutputLog
  /** Ended commands give their output up first, oldest first. */
  readonly ended: boolean
  /** Nothing of it runs any more, and it counts no longer among the commands that may run at once. */
  readonly isOver: boolean
  /** What must stay for a starter that counts on every byte, in bytes; 0 when nobody does. */
  readonly reserveBytes: number
}

/** @param totalBytes bound of the sum of all logs' `heldBytes` */
export function createBudget(totalBytes: number): Budget {
  /** Insertion order: the oldest come first. The value is what the sum counts for the member. */
  const members = new Map<BudgetMember, number>()
  let heldBytes = 0

  const count = (member: BudgetMember) => {
    const counted = members.get(member)
    if (counted === undefined) return
    heldBytes += member.log.heldBytes - counted
    members.set(member, member.log.heldBytes)
  }

  const shrink = (member: BudgetMember, excess: number, reserveBytes: number) => {
    const held = member.log.heldBytes
    member.log.shrinkTo(Math.max(held - excess, Math.min(held, reserveBytes)))
    count(member)
  }

  const victims = (): readonly BudgetMember[] => {
    const all = [...members.keys()]
    const running = all.filter(member => !member.ended)
    running.sort((a, b) => b.log.heldBytes - a.log.heldBytes)
    return [...all.filter(member => member.ended), ...running]
  }

  return {
    add: member => members.set(member, 0),
    remove(member) {
      heldBytes -= members.get(member) ?? 0
      members.delete(member)
    },
    enforce(member) {
      count(member)
      if (heldBytes <= totalBytes) return
      for (const victim of victims()) {
        if (heldBytes <= totalBytes) return
        shrink(victim, heldBytes - totalBytes, victim.reserveBytes)
      }
      // Commands that are over can be many: for their starters a gap is better than no memory for all.
      for (const victim of members.keys()) {
        if (heldBytes <= totalBytes) return
        if (victim.isOver) shrink(victim, heldBytes - totalBytes, 0)
      }
    },
    get heldBytes() {
      return heldBytes
    },
  }
}
