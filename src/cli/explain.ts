/** Why a command ended, in words, where its exit code alone would leave one guessing. */

import type { ExitFacts } from '../protocol/frames.ts'
import { exitCodeOf, exitCodes } from './exit-code.ts'

/** A sentence, or null for a command that ended by itself or by somebody's signal. */
export function explainEnd(facts: ExitFacts): string | null {
  switch (facts.cause) {
    case 'exit':
    case 'signal':
      return null
    case 'timeout':
      return 'the command was ended because its time limit passed'
    case 'oom':
      return 'the command was killed because memory ran out: give it more with --memory'
    case 'quota':
      return 'guestd ended the command because the workspace is full'
    case 'killed':
      return 'the command was killed'
    case 'stopped':
      return 'guestd stopped, and the command with it'
    case 'disconnected':
      return 'guestd ended the command because its reader was gone'
    case 'lost':
      return 'guestd was killed while the command ran: how it ended is not known'
    case 'spawn':
      return `the command ${spawnVerb(facts)}: ${facts.stage} failed with ${facts.errno}`
  }
}

function spawnVerb(facts: ExitFacts): string {
  return exitCodeOf(facts) === exitCodes.notFound ? 'was not found' : 'cannot be executed'
}
