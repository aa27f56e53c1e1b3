import t, { type Test } from 'tap'
import {
  type CommandState,
  causeOf,
  type Drained,
  type Effect,
  type Ended,
  type Ending,
  isGone,
  launching,
  type StateEvent,
  transition,
} from '../../../src/commands/command-state.ts'

const stop: StateEvent = { type: 'stop', cause: 'timeout' }
const exited: StateEvent = { type: 'exited', killRest: false }
const exitedKillRest: StateEvent = { type: 'exited', killRest: true }
const simple = [
  'launched',
  'failed',
  'kill',
  'graceOver',
  'emptied',
  'gone',
  'remain',
  'probeAgain',
  'sweep',
  'drained',
  'pipesClosed',
] as const
const on = Object.fromEntries(simple.map(type => [type, { type }])) as {
  readonly [T in (typeof simple)[number]]: { readonly type: T }
}
const events: readonly StateEvent[] = [...Object.values(on), stop, exited, exitedKillRest]

const running = (pipesClosed = false): CommandState => ({ name: 'running', pipesClosed })
const beingEnded = (ending: Exclude<Ending, 'no'>, pipesClosed = false): CommandState => ({
  name: 'ending',
  ending,
  cause: 'stopped',
  pipesClosed,
})
const draining = (ending: Ending): CommandState => ({ name: 'draining', ending })
const drained = (ending: Ending, pipesClosed = false, isGone = false): Drained => ({
  name: 'drained',
  ending,
  pipesClosed,
  isGone,
})
const ended = (ending: Ending, pipesClosed = false, isGone = false): Ended => ({
  name: 'ended',
  ending,
  pipesClosed,
  isGone,
})
const settled: CommandState = { name: 'settled' }

type Row = readonly [event: StateEvent, next: CommandState, ...effects: Effect[]]

/** Each listed event gives that state and those effects, and every other event changes nothing. */
function check(t: Pick<Test, 'same'>, state: CommandState, ...rows: Row[]): void {
  for (const event of events) {
    const [, next, ...effects] = rows.find(([type]) => type === event) ?? [event, state]
    const name = `${JSON.stringify(state)} on ${JSON.stringify(event)}`
    t.same(transition(state, event), { state: next, effects }, name)
  }
}

t.test('a launch', async t => {
  check(
    t,
    launching,
    [on.launched, running()],
    [on.failed, drained('no'), 'probe'],
    [on.pipesClosed, { ...launching, pipesClosed: true }],
    [stop, { ...launching, ending: 'grace', cause: 'timeout' }, 'terminate'],
    [on.kill, { ...launching, ending: 'killing', cause: 'killed' }, 'kill'],
  )
})

t.test('a launch whose command is to stop ends it once the process is there', async t => {
  const state: CommandState = { ...launching, ending: 'grace', cause: 'stopped' }
  check(
    t,
    state,
    [on.launched, beingEnded('grace'), 'terminate'],
    [on.failed, drained('grace'), 'probe'],
    [on.pipesClosed, { ...state, pipesClosed: true }],
    [on.kill, { ...state, ending: 'killing' }, 'kill'],
    [on.graceOver, { ...state, ending: 'killing' }, 'kill'],
  )
})

t.test('a launch whose command is killed kills the process that it brings', async t => {
  const state: CommandState = { ...launching, ending: 'killing', cause: 'stopped' }
  check(
    t,
    state,
    [on.launched, beingEnded('killing'), 'kill'],
    [on.failed, drained('killing'), 'kill'],
    [on.pipesClosed, { ...state, pipesClosed: true }],
    [on.kill, state, 'kill'],
  )
})

t.test('a process that runs', async t => {
  check(
    t,
    running(),
    [exited, draining('no'), 'drain'],
    [exitedKillRest, draining('killing'), 'kill'],
    [on.pipesClosed, running(true)],
    [stop, { name: 'ending', ending: 'grace', cause: 'timeout', pipesClosed: false }, 'terminate'],
    [on.kill, { name: 'ending', ending: 'killing', cause: 'killed', pipesClosed: false }, 'kill'],
  )
  check(
    t,
    running(true),
    [exited, drained('no', true), 'probe'],
    [exitedKillRest, drained('killing', true), 'kill'],
    [on.pipesClosed, running(true)],
    [stop, { name: 'ending', ending: 'grace', cause: 'timeout', pipesClosed: true }, 'terminate'],
    [on.kill, { name: 'ending', ending: 'killing', cause: 'killed', pipesClosed: true }, 'kill'],
  )
})

t.test('a process that is being ended keeps its first cause', async t => {
  check(
    t,
    beingEnded('grace'),
    [exited, draining('grace'), 'probe'],
    [exitedKillRest, draining('killing'), 'kill'],
    [on.pipesClosed, beingEnded('grace', true)],
    [on.kill, beingEnded('killing'), 'kill'],
    [on.graceOver, beingEnded('killing'), 'kill'],
  )
  check(
    t,
    beingEnded('killing', true),
    [exited, drained('killing', true)],
    [exitedKillRest, drained('killing', true), 'kill'],
    [on.kill, beingEnded('killing', true), 'kill'],
    [on.emptied, beingEnded('killed', true)],
  )
  check(
    t,
    beingEnded('killed'),
    [exited, draining('killed'), 'probe'],
    [exitedKillRest, draining('killing'), 'kill'],
    [on.pipesClosed, beingEnded('killed', true)],
    [on.kill, beingEnded('killing'), 'kill'],
  )
})

t.test('a drain', async t => {
  check(
    t,
    draining('no'),
    [on.drained, drained('no'), 'probe'],
    [on.pipesClosed, drained('no', true), 'probe'],
    [on.gone, ended('no', false, true), 'end'],
    [on.remain, draining('no'), 'drain'],
    [stop, draining('grace'), 'terminate'],
    [on.kill, draining('killing'), 'kill'],
  )
  check(
    t,
    draining('grace'),
    [on.drained, drained('grace'), 'probe'],
    [on.pipesClosed, drained('grace', true), 'probe'],
    [on.gone, drained('grace', false, true), 'closePipes'],
    [on.remain, draining('grace'), 'drain'],
    [on.kill, draining('killing'), 'kill'],
    [on.graceOver, draining('killing'), 'kill'],
  )
  check(
    t,
    draining('killing'),
    [on.drained, drained('killing')],
    [on.pipesClosed, drained('killing', true)],
    [on.gone, drained('killing', false, true)],
    [on.remain, draining('killing'), 'drain'],
    [on.kill, draining('killing'), 'kill'],
    [on.emptied, draining('killed'), 'probe'],
  )
})

t.test('a drained command waits until guestd has ended it', async t => {
  check(
    t,
    drained('no', true),
    [on.pipesClosed, drained('no', true), 'probe'],
    [on.gone, settled, 'end', 'settle'],
    [on.remain, ended('no', true), 'end'],
    [on.probeAgain, drained('no', true), 'probe'],
    [on.kill, drained('killing', true), 'kill'],
  )
  check(
    t,
    drained('grace'),
    [on.pipesClosed, drained('grace', true), 'probe'],
    [on.gone, drained('grace', false, true), 'closePipes'],
    [on.remain, drained('grace'), 'probeLater'],
    [on.probeAgain, drained('grace'), 'probe'],
    [on.kill, drained('killing'), 'kill'],
    [on.graceOver, drained('killing'), 'kill'],
  )
  check(
    t,
    drained('killing'),
    [on.pipesClosed, drained('killing', true)],
    [on.gone, drained('killing', false, true)],
    [on.remain, ended('killing'), 'end'],
    [on.probeAgain, drained('killing')],
    [on.kill, drained('killing'), 'kill'],
    [on.emptied, drained('killed'), 'probe'],
  )
  check(
    t,
    drained('killed', false, true),
    [on.pipesClosed, settled, 'end', 'settle'],
    [on.gone, drained('killed', false, true), 'closePipes'],
    [on.remain, ended('killed', false, true), 'end'],
    [on.probeAgain, drained('killed', false, true), 'closePipes'],
    [on.kill, drained('killing', false, true), 'kill'],
  )
})

t.test('an ended command settles once no process is left and the pipes are closed', async t => {
  check(
    t,
    ended('no'),
    [on.pipesClosed, ended('no', true), 'probe'],
    [on.gone, ended('no', false, true)],
    [on.sweep, ended('no'), 'probe'],
    [stop, ended('grace'), 'terminate'],
    [on.kill, ended('killing'), 'kill'],
  )
  check(
    t,
    ended('no', false, true),
    [on.pipesClosed, settled, 'settle'],
    [stop, ended('grace', false, true), 'terminate'],
    [on.kill, ended('killing', false, true), 'kill'],
  )
  check(
    t,
    ended('killing', false, true),
    [on.pipesClosed, settled, 'settle'],
    [on.gone, ended('killing', false, true), 'closePipes'],
    [on.sweep, ended('killing', false, true), 'closePipes'],
    [on.kill, ended('killing', false, true), 'kill'],
    [on.emptied, ended('killed', false, true), 'closePipes'],
  )
  check(
    t,
    ended('grace', true),
    [on.pipesClosed, ended('grace', true), 'probe'],
    [on.gone, settled, 'settle'],
    [on.sweep, ended('grace', true), 'probe'],
    [on.kill, ended('killing', true), 'kill'],
    [on.graceOver, ended('killing', true), 'kill'],
  )
})

t.test('a stop kills what was moved into the cgroup after a kill', async t => {
  t.same(transition(ended('killed'), stop), { state: ended('killing'), effects: ['kill'] })
})

t.test('nothing changes a settled command', async t => {
  check(t, settled)
})

t.test('a state says why the command is ended, and whether a process is left', async t => {
  t.equal(causeOf(running()), null)
  t.equal(causeOf(launching), null)
  t.equal(causeOf(beingEnded('grace')), 'stopped')
  t.equal(isGone(running(true)), false)
  t.equal(isGone(draining('killed')), false)
  t.equal(isGone(ended('no', true)), false)
  t.equal(isGone(ended('no', false, true)), true)
  t.equal(isGone(settled), true)
})

/** What has happened on the way to a state. */
interface Path {
  readonly state: CommandState
  readonly isExited: boolean
  readonly isEnded: boolean
  readonly isSettled: boolean
}

/** The events that processes, pipes and callers can bring there; `gone` and `remain` only answer a `probe`. */
function possible({ state, isExited }: Path): readonly StateEvent[] {
  const ending = 'ending' in state ? state.ending : 'no'
  return [
    ...[stop, on.kill, on.sweep, on.probeAgain, on.pipesClosed],
    ...(ending === 'grace' ? [on.graceOver] : []),
    ...(ending === 'killing' ? [on.emptied] : []),
    ...(state.name === 'launching' ? [on.launched, on.failed] : []),
    ...(state.name === 'running' || state.name === 'ending' ? [exited, exitedKillRest] : []),
    ...(isExited ? [on.drained] : []),
  ]
}

t.test(
  'on every way from the launch the end comes once, and then the command settles once',
  async t => {
    const begin: Path = { state: launching, isExited: false, isEnded: false, isSettled: false }
    const known = new Map([[JSON.stringify(begin), begin]])
    const answers = new Map<string, readonly string[]>()
    for (const path of known.values()) {
      const next: Path[] = []
      const take = (from: Path, event: StateEvent) => {
        const { state, effects } = transition(from.state, event)
        const ends = effects.filter(effect => effect === 'end').length
        const settles = effects.filter(effect => effect === 'settle').length
        const isExited = from.isExited || event.type === 'exited' || event.type === 'failed'
        const to = {
          state,
          isExited,
          isEnded: from.isEnded || ends > 0,
          isSettled: from.isSettled || settles > 0,
        }
        const way = `${JSON.stringify(from)} on ${event.type}`
        if (ends > (from.isEnded ? 0 : 1)) t.fail(`${way}: a second end`)
        if (ends > 0 && !isExited) t.fail(`${way}: an end before the exit`)
        if (ends > 0 && 'ending' in state && state.ending === 'killing')
          t.fail(`${way}: an end during the kill`)
        if (settles > 0 && !(to.isEnded && isGone(state))) t.fail(`${way}: settles too early`)
        if ((state.name === 'settled') !== to.isSettled) t.fail(`${way}: ${state.name}`)
        const [before, after] = [causeOf(from.state), causeOf(state)]
        if (before !== null && after !== null && before !== after) t.fail(`${way}: another cause`)
        if (effects.includes('probe')) for (const answer of [on.gone, on.remain]) take(to, answer)
        else next.push(to)
      }
      for (const event of possible(path)) take(path, event)
      for (const to of next) if (!known.has(JSON.stringify(to))) known.set(JSON.stringify(to), to)
      answers.set(
        JSON.stringify(path),
        next.map(to => JSON.stringify(to)),
      )
    }
    const open = [...known.values()].filter(path => !canSettle(JSON.stringify(path), answers))
    t.same(open, [], 'each state has a way to settle')
    t.ok(known.size > 30, `${known.size} states`)
  },
)

function canSettle(from: string, ways: ReadonlyMap<string, readonly string[]>): boolean {
  const seen = new Set([from])
  for (const one of seen) {
    if (one.includes('"settled"')) return true
    for (const to of ways.get(one) ?? []) seen.add(to)
  }
  return false
}
