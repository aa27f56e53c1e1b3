import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createStarterLease } from '../../../src/commands/starter-lease.ts'

/** A log that ends at `end` and pipes that are paused or not. */
function makeLease(graceMs = 60_000) {
  const state = { end: 0, paused: false, pauses: 0 }
  const lease = createStarterLease({
    lagFrom: cursor => state.end - cursor,
    fullMark: 100,
    graceMs,
    pause: () => {
      state.paused = true
      state.pauses += 1
    },
    resume: () => {
      state.paused = false
    },
  })
  return { state, lease }
}

t.test('the pipes pause at the full mark and resume at half of it', async t => {
  const { state, lease } = makeLease()
  let cursor = 0
  lease.take(() => cursor)
  const pausedAt = (end: number, at: number) => {
    state.end = end
    cursor = at
    lease.check()
    return state.paused
  }
  t.equal(pausedAt(99, 0), false)
  t.equal(pausedAt(100, 0), true)
  t.equal(pausedAt(100, 49), true)
  t.equal(pausedAt(100, 50), false)
  t.equal(state.pauses, 1)
})

t.test('without a reader that has the role nothing pauses', async t => {
  const { state, lease } = makeLease()
  state.end = 1_000
  lease.check()
  t.equal(state.paused, false)
  t.equal(lease.place, null)
})

t.test('after a takeover only the new reader has the role', async t => {
  const { state, lease } = makeLease()
  const first = () => 0
  const second = () => 80
  lease.take(first)
  state.end = 120
  lease.check()
  t.equal(state.paused, true)
  lease.take(second)
  t.equal(state.paused, false)
  t.equal(lease.cut(first), false)
  lease.done(first)
  t.equal(lease.place, 80)
  lease.done(second)
  t.equal(lease.place, null)
})

t.test('a cut reader keeps its place for the grace', async t => {
  const { state, lease } = makeLease(1)
  const reader = () => 5
  lease.take(reader)
  t.equal(lease.cut(reader), true)
  t.equal(lease.place, 5)
  state.end = 200
  lease.check()
  t.equal(state.paused, true)
  while (lease.place !== null) await sleep(1)
  t.equal(state.paused, false, 'after the grace the command writes on')
})

t.test('a reader that comes back within the grace keeps the role', async t => {
  const { lease } = makeLease(1)
  const reader = () => 5
  lease.take(reader)
  lease.cut(reader)
  lease.take(() => 6)
  await sleep(20)
  t.equal(lease.place, 6)
})

t.test('a released role is never taken again', async t => {
  const { state, lease } = makeLease()
  lease.take(() => 0)
  state.end = 100
  lease.check()
  lease.release()
  t.equal(state.paused, false)
  lease.take(() => 0)
  t.equal(lease.place, null)
})
