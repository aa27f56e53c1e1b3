/** A command in the registry: while it is alive, and reduced to what is kept of it once it has ended. */
import { type Ended, viewOf } from './ended-command.ts'
import type { ManagedCommand } from './managed-command.ts'
import type { Command } from './types.ts'

export interface Slot {
  readonly id: string
  readonly command: ManagedCommand | { readonly retired: Ended }
  /** Digest of the request; `null` where guestd made the id. */
  readonly digest: string | null
  /** Settles with the launch, also for a request that is repeated meanwhile. `null`: the launch is over. */
  readonly launched: Promise<void> | null
}

/** The command as the API sees it. */
export function commandIn({ command }: Slot): Command {
  return 'retired' in command ? viewOf(command.retired) : command
}

/** Frees its memory. */
export function discardSlot({ command }: Slot): void {
  if ('retired' in command) command.retired.output?.discard()
  else command.discard()
}
