/** What the parts of a session are made from. */
import type { Machine } from '../commands/plan.ts'
import type { Config } from '../config/types.ts'
import type { Events } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { Notifier } from '../sys/notify.ts'
import type { Cleanup } from './cleanup.ts'
import type { RunState } from './run-state.ts'

export interface SessionParts {
  readonly config: Config
  readonly log: Log
  readonly version: string
  readonly notifier: Notifier
  readonly cleanup: Cleanup
  readonly events: Events
  readonly runState: RunState
  readonly machine: Machine
  /** `output` of the settings, lowered to the memory of this machine. */
  readonly output: Config['output']
}
