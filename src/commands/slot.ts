/** A command's place in the registry, while it lives and when it is over. */
import { type Ended, viewOf } from './ended-command.ts'
import type { ManagedCommand } from './managed-command.ts'
import type { Command } from './types.ts'

export interface Slot {
  readonly id: string
  readonly command: ManagedCommand | { readonly retired: Ended }
  readonly digest: string | null
  /** Settles with the launch; of whoever repeats the request meanwhile, too. `null`: long ago. */
  readonly launched: Promise<void> | null
}

/** As the API sees it. */
export function seen({ command }: Slot): Command {
  return 'retired' in command ? viewOf(command.retired) : command
}

/** Gives its memory back. */
export function discard({ command }: Slot): void {
  if ('retired' in command) command.retired.output?.discard()
  else command.discard()
}
