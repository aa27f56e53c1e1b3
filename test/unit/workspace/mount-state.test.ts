import t from 'tap'
import { GuestdError } from '../../../src/errors.ts'
import { mountReason, mountReasonCode } from '../../../src/workspace/mount-reason.ts'
import {
  firstStep,
  type MountEffect,
  type MountEvent,
  type MountState,
  transition,
} from '../../../src/workspace/mount-state.ts'

const gone = new GuestdError('workspace_unavailable', 'no device /dev/vdb')
const goneAgain = new GuestdError('workspace_unavailable', 'no device /dev/vdb')
const broken = new GuestdError('workspace_unavailable', 'no superblock')
const foreign = new GuestdError('session_mismatch', 'the volume belongs to another session')
const foreignToo = new GuestdError('session_mismatch', 'the volume belongs to a third session')

const waiting: MountState = { name: 'waiting' }
const absent: MountState = { name: 'absent', failure: gone }
const ofAnother: MountState = { name: 'foreign', failure: foreign }
const first: MountState = { name: 'mounting', before: null }
const mounted: MountState = { name: 'mounted' }
const refused: MountState = { name: 'refused', failure: foreign }
const unmounting: MountState = { name: 'unmounting' }
const unmounted: MountState = { name: 'unmounted' }
const closed: MountState = { name: 'closed', before: absent }
const mounting = (before: typeof waiting | typeof absent | typeof ofAnother): MountState => ({
  name: 'mounting',
  before,
})
const cancelling = (before: typeof absent | null): MountState => ({ name: 'cancelling', before })

const bind: MountEvent = { type: 'bind' }
const retry: MountEvent = { type: 'retry' }
const succeeded: MountEvent = { type: 'succeeded' }
const accepted: MountEvent = { type: 'accepted' }
const end: MountEvent = { type: 'end' }
const done: MountEvent = { type: 'unmounted' }
const failed = (failure: GuestdError): MountEvent => ({ type: 'failed', failure })
const refuse = (failure: GuestdError): MountEvent => ({ type: 'refused', failure })

type Row = readonly [
  from: MountState,
  event: MountEvent,
  to: MountState,
  effects: readonly MountEffect[],
]

const rows: readonly Row[] = [
  [waiting, bind, mounting(waiting), ['attempt']],
  [waiting, end, { name: 'closed', before: waiting }, ['endWithoutMount']],
  [absent, bind, mounting(absent), ['attempt']],
  [absent, retry, mounting(absent), ['attempt']],
  [absent, end, closed, ['endWithoutMount']],
  [ofAnother, bind, mounting(ofAnother), ['attempt']],
  [ofAnother, end, { name: 'closed', before: ofAnother }, ['endWithoutMount']],
  [first, succeeded, mounted, []],
  [first, failed(gone), absent, ['reportFailure', 'retryLater']],
  [first, failed(foreign), ofAnother, ['reportFailure']],
  [first, end, cancelling(null), ['cancel']],
  [mounting(waiting), failed(gone), absent, ['reportFailure', 'retryLater']],
  [mounting(absent), failed(goneAgain), { ...absent, failure: goneAgain }, ['retryLater']],
  [
    mounting(absent),
    failed(broken),
    { ...absent, failure: broken },
    ['reportFailure', 'retryLater'],
  ],
  [mounting(absent), failed(foreign), ofAnother, ['reportFailure']],
  [mounting(absent), end, cancelling(absent), ['cancel']],
  [mounting(ofAnother), failed(foreign), ofAnother, []],
  [mounted, refuse(foreign), refused, ['reportRefusal']],
  [mounted, end, unmounting, ['unmount']],
  [refused, accepted, mounted, []],
  [refused, refuse(foreign), refused, []],
  [refused, refuse(foreignToo), { ...refused, failure: foreignToo }, ['reportRefusal']],
  [refused, end, unmounting, ['unmount']],
  [cancelling(null), succeeded, unmounting, ['unmount']],
  [cancelling(null), failed(gone), closed, ['reportFailure', 'endWithoutMount']],
  [cancelling(absent), failed(goneAgain), closed, ['endWithoutMount']],
  [unmounting, done, unmounted, []],
]

t.test('each event takes the mount to its next state, with its effects', async t => {
  for (const [from, event, state, effects] of rows) {
    const step = transition(from, event)
    t.same(step, { state, effects }, `${from.name}, ${event.type}`)
  }
})

t.test('every other event is ignored in every state', async t => {
  const states = [
    ...[waiting, absent, ofAnother, first, mounted, refused],
    ...[cancelling(null), unmounting, unmounted, closed],
  ]
  const events = [bind, retry, succeeded, failed(gone), accepted, refuse(foreign), end, done]
  const known = new Set(rows.map(([from, event]) => `${from.name} ${event.type}`))
  let ignored = 0
  for (const state of states) {
    for (const event of events) {
      if (known.has(`${state.name} ${event.type}`)) continue
      ignored += 1
      const step = transition(state, event)
      t.equal(step.state, state, `${state.name}, ${event.type}`)
      t.same(step.effects, [])
    }
  }
  t.equal(ignored + known.size, states.length * events.length)
})

t.test('the first attempt begins at once, or waits for the session', async t => {
  t.same(firstStep(false), { state: first, effects: ['attempt'] })
  t.same(firstStep(true), { state: waiting, effects: [] })
})

t.test('each state has its code and its reason', async t => {
  const texts: readonly (readonly [MountState, string | null, RegExp | null])[] = [
    [waiting, 'waiting_for_session', /PUT \/v1\/session/],
    [first, 'starting', /^it is being mounted$/],
    [mounting(waiting), 'waiting_for_session', /PUT \/v1\/session/],
    [mounting(absent), 'workspace_unavailable', /^no device \/dev\/vdb$/],
    [mounting(ofAnother), 'workspace_unavailable', /another session/],
    [absent, 'workspace_unavailable', /^no device \/dev\/vdb$/],
    [ofAnother, 'session_mismatch', /another session/],
    [mounted, null, null],
    [refused, 'session_mismatch', /another session/],
    [cancelling(null), 'starting', /^it is being mounted$/],
    [unmounting, 'workspace_unavailable', /^it is being unmounted$/],
    [unmounted, 'workspace_unavailable', /^it has been unmounted$/],
    [closed, 'workspace_unavailable', /^no device \/dev\/vdb$/],
    [{ name: 'closed', before: waiting }, 'waiting_for_session', /PUT \/v1\/session/],
  ]
  for (const [state, code, reason] of texts) {
    t.equal(mountReasonCode(state), code, state.name)
    const text = mountReason(state)
    if (reason === null) t.equal(text, null)
    else t.match(text, reason)
  }
})
