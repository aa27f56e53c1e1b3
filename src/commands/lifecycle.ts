/** Drives one command through the states of `command-state.ts`: takes events, and runs the effects. */
import type { EndFacts } from '../protocol/frames.ts'
import type { Output } from './command-output.ts'
import {
  type CommandState,
  type Effect,
  isGone,
  launching,
  type StateEvent,
  transition,
} from './command-state.ts'
import type { Containment } from './containment.ts'
import type { Life } from './life.ts'
import type { CommandEvents } from './managed-command.ts'
import { killUntilEmpty, terminate } from './terminate.ts'

/** Interval of the checks whether all processes have exited within their grace. */
const PROBE_MS = 20

export interface Lifecycle {
  readonly state: CommandState
  send(event: StateEvent): void
  /** Repeats SIGKILL, and resolves once no process is left. One loop serves all callers. */
  kill(): Promise<void>
  /** Cuts the time between SIGTERM and SIGKILL short. */
  skipGrace(): void
  /** Resolves once the command is settled. */
  readonly settled: Promise<void>
}

export interface LifecycleParts {
  readonly life: Life
  readonly output: Output
  readonly containment: Containment
  readonly events: CommandEvents
  /** Time between SIGTERM and SIGKILL. */
  readonly killGraceMs: number
}

export function createLifecycle(parts: LifecycleParts): Lifecycle {
  const { life, output, containment, events, killGraceMs } = parts
  let state: CommandState = launching
  let killing: Promise<void> | null = null
  let grace: NodeJS.Timeout | undefined
  let nextProbe: NodeJS.Timeout | undefined
  const settled = Promise.withResolvers<void>()

  const send = (event: StateEvent) => {
    const step = transition(state, event)
    state = step.state
    for (const effect of step.effects) effects[effect]()
  }

  const effects: Readonly<Record<Effect, () => void>> = {
    terminate() {
      terminate(containment)
      grace ??= setTimeout(send, killGraceMs, { type: 'graceOver' })
    },
    kill() {
      clearTimeout(grace)
      killing ??= (isGone(state) ? Promise.resolve() : killUntilEmpty(containment)).then(() => {
        killing = null
        send({ type: 'emptied' })
      })
    },
    drain: () => output.drain(() => send({ type: 'drained' })),
    probe: () => send({ type: containment.remove() ? 'gone' : 'remain' }),
    probeLater() {
      clearTimeout(nextProbe)
      nextProbe = setTimeout(send, PROBE_MS, { type: 'probeAgain' })
    },
    closePipes: output.pipes.finish,
    end() {
      if (life.exit === null) return
      const end = endSoFar(output, isGone(state) ? 0 : containment.count())
      life.end = { facts: end, cursor: output.log.end }
      events.ended({ endedAt: life.exit.at, exit: life.exit.facts, end })
      // The exit and the end of a command that leaves no process behind go out in one write.
      output.wake()
      events.announced()
    },
    settle() {
      clearTimeout(grace)
      settled.resolve()
      events.settled()
    },
  }

  return {
    get state() {
      return state
    },
    send,
    async kill() {
      send({ type: 'kill' })
      await killing
    },
    skipGrace: () => send({ type: 'graceOver' }),
    settled: settled.promise,
  }
}

/** @param descendants processes that outlive the first one */
export function endSoFar({ log }: Output, descendants: number): Omit<EndFacts, 'truncated'> {
  const { stdout, stderr } = log.totals
  return { stdoutBytes: stdout, stderrBytes: stderr, descendants }
}
