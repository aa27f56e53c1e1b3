/**
 * The states of a command and what each event does in each of them. Pure: a transition returns the next state and the
 * names of the effects, which `lifecycle.ts` runs in that order. An event that a state does not list is ignored there.
 *
 * ```text
 * launching ─▶ running ─▶ ending       SIGTERM or SIGKILL is sent, the process has not exited
 *     │           └───┬──────┘
 *     │               ▼ exited
 *     │           draining             what the pipes hold is read
 *     ▼               ▼
 *     └─────────▶ drained              guestd ends the other processes, then closes the pipes
 *                     ▼ end
 *                 ended                descendants live on, or hold the pipes open
 *                     ▼
 *                 settled              no process is left, every pipe is closed
 * ```
 */
import type { Cause } from '../protocol/frames.ts'

/**
 * What guestd does to end the command. `grace`: it sent SIGTERM, and SIGKILL follows after the grace. `killing`: it
 * repeats SIGKILL. `killed`: no process was left.
 */
export type Ending = 'no' | 'grace' | 'killing' | 'killed'

export interface Launching {
  readonly name: 'launching'
  readonly ending: Exclude<Ending, 'killed'>
  /** Why guestd ends it: the first reason counts. */
  readonly cause: Cause | null
  readonly pipesClosed: boolean
}

export interface Running {
  readonly name: 'running'
  readonly pipesClosed: boolean
}

export interface EndingState {
  readonly name: 'ending'
  readonly ending: Exclude<Ending, 'no'>
  readonly cause: Cause
  readonly pipesClosed: boolean
}

export interface Draining {
  readonly name: 'draining'
  readonly ending: Ending
}

export interface Drained {
  readonly name: 'drained'
  readonly ending: Ending
  readonly pipesClosed: boolean
  /** No process is left and the containment is removed: its id may belong to other processes from now on. */
  readonly isGone: boolean
}

export interface Ended extends Omit<Drained, 'name'> {
  readonly name: 'ended'
}

export interface Settled {
  readonly name: 'settled'
}

export type CommandState = Launching | Running | EndingState | Draining | Drained | Ended | Settled

export type StateEvent =
  /** The process runs. */
  | { readonly type: 'launched' }
  /** No process was started. */
  | { readonly type: 'failed' }
  /** `killRest`: the request asks to kill the processes that outlive the first one. */
  | { readonly type: 'exited'; readonly killRest: boolean }
  | { readonly type: 'stop'; readonly cause: Cause }
  | { readonly type: 'kill' }
  /** The time between SIGTERM and SIGKILL has passed, or is cut short. */
  | { readonly type: 'graceOver' }
  /** The repeated SIGKILL found no process left. */
  | { readonly type: 'emptied' }
  /** Result of `probe`: no process is left, and the containment is removed. */
  | { readonly type: 'gone' }
  /** Result of `probe`: processes are left. */
  | { readonly type: 'remain' }
  /** The time of `probeLater` has passed. */
  | { readonly type: 'probeAgain' }
  /** The registry's periodic check. */
  | { readonly type: 'sweep' }
  /** What the pipes held at the exit is read. */
  | { readonly type: 'drained' }
  /** Every pipe has reached its end. */
  | { readonly type: 'pipesClosed' }

export type Effect =
  /** SIGTERM to all processes; the grace begins if it is not running. */
  | 'terminate'
  /** Repeats SIGKILL until no process is left, then `emptied`. */
  | 'kill'
  /** Reads what the pipes hold, then `drained`. */
  | 'drain'
  /** Checks for processes: `gone` or `remain` follows at once. */
  | 'probe'
  /** `probeAgain` follows in a moment. */
  | 'probeLater'
  /** Reads what the pipes hold now and closes them, then `pipesClosed`. Idempotent. */
  | 'closePipes'
  /** Records and announces the end. */
  | 'end'
  | 'settle'

export interface Step {
  readonly state: CommandState
  readonly effects: readonly Effect[]
}

/** A command begins with its launch. */
export const launching: Launching = {
  name: 'launching',
  ending: 'no',
  cause: null,
  pipesClosed: false,
}

export function transition(state: CommandState, event: StateEvent): Step {
  // The compiler cannot see that the row belongs to the state and the action to the event.
  const action = table[state.name][event.type] as Action<CommandState, StateEvent> | undefined
  return action === undefined ? stay(state) : action(state, event)
}

/** Why guestd ends it; `null` where it does not. */
export function causeOf(state: CommandState): Cause | null {
  return 'cause' in state ? state.cause : null
}

/** No process of it is left, so nothing may be sent to its cgroup or group id any more. */
export function isGone(state: CommandState): boolean {
  return state.name === 'settled' || ('isGone' in state && state.isGone)
}

type Action<S, E> = (state: S, event: E) => Step
type Row<S> = { readonly [E in StateEvent as E['type']]?: Action<S, E> }

const table: { readonly [S in CommandState as S['name']]: Row<S> } = {
  launching: {
    launched: afterLaunch,
    failed: afterFailure,
    pipesClosed: state => stay({ ...state, pipesClosed: true }),
    stop: (state, { cause }) => beginGrace({ ...state, cause: state.cause ?? cause }),
    // `emptied` is not listed: the process may start after it, and is killed then.
    kill: state => beginKill({ ...state, cause: state.cause ?? 'killed' }),
    graceOver: endGrace,
  },
  running: {
    exited: ({ pipesClosed }, event) => afterExit('no', pipesClosed, event),
    pipesClosed: state => stay({ ...state, pipesClosed: true }),
    stop: ({ pipesClosed }, { cause }) =>
      to({ name: 'ending', ending: 'grace', cause, pipesClosed }, 'terminate'),
    kill: ({ pipesClosed }) =>
      to({ name: 'ending', ending: 'killing', cause: 'killed', pipesClosed }, 'kill'),
  },
  ending: {
    exited: ({ ending, pipesClosed }, event) => afterExit(ending, pipesClosed, event),
    pipesClosed: state => stay({ ...state, pipesClosed: true }),
    kill: beginKill,
    graceOver: endGrace,
    emptied: endKill,
  },
  draining: {
    drained: ({ ending }) => finish({ name: 'drained', ending, pipesClosed: false, isGone: false }),
    pipesClosed: ({ ending }) =>
      finish({ name: 'drained', ending, pipesClosed: true, isGone: false }),
    gone: ({ ending }) => finish({ name: 'drained', ending, pipesClosed: false, isGone: true }),
    remain: state => to(state, 'drain'),
    stop: beginGrace,
    kill: beginKill,
    graceOver: endGrace,
    emptied: endKill,
  },
  drained: {
    pipesClosed: state => finish({ ...state, pipesClosed: true }),
    gone: state => finish({ ...state, isGone: true }),
    // A process in its grace does not count as a descendant that lives on.
    remain: state =>
      state.ending === 'grace' ? to(state, 'probeLater') : to({ ...state, name: 'ended' }, 'end'),
    probeAgain: finish,
    kill: beginKill,
    graceOver: endGrace,
    emptied: endKill,
  },
  ended: {
    pipesClosed: state => settle({ ...state, pipesClosed: true }),
    gone: state => settle({ ...state, isGone: true }),
    sweep: settle,
    // Root can move a process into the cgroup after the kill.
    stop: state =>
      state.ending === 'killed' && !state.isGone ? beginKill(state) : beginGrace(state),
    kill: beginKill,
    graceOver: endGrace,
    emptied: endKill,
  },
  settled: {},
}

function afterLaunch({ ending, cause, pipesClosed }: Launching): Step {
  if (ending === 'no' || cause === null) return stay({ name: 'running', pipesClosed })
  // What was sent before may have found no process.
  const effect = ending === 'grace' ? 'terminate' : 'kill'
  return to({ name: 'ending', ending, cause, pipesClosed }, effect)
}

function afterFailure({ ending, pipesClosed }: Launching): Step {
  const state: Drained = { name: 'drained', ending, pipesClosed, isGone: false }
  return ending === 'killing' ? to(state, 'kill') : finish(state)
}

function afterExit(
  ending: Ending,
  pipesClosed: boolean,
  { killRest }: { readonly killRest: boolean },
): Step {
  const state: Draining | Drained = pipesClosed
    ? { name: 'drained', ending, pipesClosed, isGone: false }
    : { name: 'draining', ending }
  if (killRest) return beginKill(state)
  if (state.name === 'drained') return finish(state)
  // While guestd ends the command, an outside process may hold the pipes; no drain is needed.
  return to(state, ending === 'grace' || ending === 'killed' ? 'probe' : 'drain')
}

/** Sends `end` once guestd has ended the processes that it must end. */
function finish(state: Drained): Step {
  const { ending, pipesClosed, isGone } = state
  // Waits for `emptied`, so that the end does not count processes that are dying.
  if (ending === 'killing') return stay(state)
  if (!isGone) return to(state, 'probe')
  if (pipesClosed) return { state: { name: 'settled' }, effects: END_AND_SETTLE }
  // Then `pipesClosed` brings the end.
  return ending === 'no' ? to({ ...state, name: 'ended' }, 'end') : to(state, 'closePipes')
}

/** After the end. */
function settle(state: Ended): Step {
  const { ending, pipesClosed, isGone } = state
  if (!isGone) return to(state, 'probe')
  if (pipesClosed) return to({ name: 'settled' }, 'settle')
  // Pipes that guestd does not close stay readable: a process outside may write to them.
  return ending === 'no' ? stay(state) : to(state, 'closePipes')
}

/** The states in which guestd can begin to end the command, or may be doing so. */
type Endable = Exclude<CommandState, Running | Settled>

function beginGrace(state: Endable): Step {
  return state.ending === 'no' ? to({ ...state, ending: 'grace' }, 'terminate') : stay(state)
}

function endGrace(state: Endable): Step {
  return state.ending === 'grace' ? beginKill(state) : stay(state)
}

function beginKill(state: Endable): Step {
  return to({ ...state, ending: 'killing' }, 'kill')
}

function endKill(state: Exclude<Endable, Launching>): Step {
  if (state.ending !== 'killing') return stay(state)
  switch (state.name) {
    case 'ending':
      return stay({ ...state, ending: 'killed' })
    case 'draining':
      return to({ ...state, ending: 'killed' }, 'probe')
    case 'drained':
      return finish({ ...state, ending: 'killed' })
    case 'ended':
      return settle({ ...state, ending: 'killed' })
  }
}

function to(state: CommandState, effect: Effect): Step {
  return { state, effects: ONE[effect] }
}

function stay(state: CommandState): Step {
  return { state, effects: NONE }
}

/** Made once: a transition allocates no list. */
const NONE: readonly Effect[] = []
const END_AND_SETTLE: readonly Effect[] = ['end', 'settle']
const ONE: { readonly [E in Effect]: readonly Effect[] } = {
  terminate: ['terminate'],
  kill: ['kill'],
  drain: ['drain'],
  probe: ['probe'],
  probeLater: ['probeLater'],
  closePipes: ['closePipes'],
  end: ['end'],
  settle: ['settle'],
}
