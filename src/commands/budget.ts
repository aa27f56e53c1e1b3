/** The bound on the output of all commands together. */
import type { OutputLog } from './output-log.ts'

export interface Budget {
  add(member: BudgetMember): void
  remove(member: BudgetMember): void
  /** To be called after a member's log has changed: shrinks logs when all together are over the bound. */
  enforce(member: BudgetMember): void
  readonly heldBytes: number
}

export interface BudgetMember {
  readonly log: OutputLog
  /** The output of ended commands is dropped first, oldest first. */
  readonly ended: boolean
  /** The command has ended and its pipes are closed. */
  readonly isOver: boolean
  /** Memory to keep for a starter that must receive every byte, in bytes; 0 without a starter. */
  readonly reserveBytes: number
}

/** @param totalBytes bound of the sum of all logs' `heldBytes` */
export function createBudget(totalBytes: number): Budget {
  /** In insertion order, so the oldest come first. The value is what the sum counts for the member. */
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
      // Many commands can have ended: a gap for their starters is better than no memory for the others.
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
