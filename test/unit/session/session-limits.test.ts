import t from 'tap'
import { createActivity } from '../../../src/session/activity.ts'
import { createSessionLimits } from '../../../src/session/session-limits.ts'
import { until } from '../../helpers/guestd.ts'

const DAY_MS = 86_400_000

t.test('a change of the time of day neither ends the session nor keeps it', async t => {
  const reached: string[] = []
  const now = Date.now
  t.teardown(() => {
    Date.now = now
  })
  const limits = { idleMs: DAY_MS, lifetimeMs: 2 * DAY_MS }
  const sessionLimits = createSessionLimits({
    limits: () => limits,
    bornAt: performance.now(),
    activity: createActivity(),
    isStopping: () => false,
    reached: limit => reached.push(limit),
  })
  for (const days of [10, -10]) {
    Date.now = () => now() + days * DAY_MS
    sessionLimits.watch()
    t.same(reached, [])
    const left = Date.parse(sessionLimits.facts().endsAt ?? '') - Date.now()
    t.ok(left > DAY_MS / 2 && left <= DAY_MS, 'it is given in the new time')
  }
})

t.test(
  'a lifetime that passed in a guestd before this one is reached at once, and once',
  async t => {
    const reached: string[] = []
    const busy = createActivity()
    busy.add({ isBusy: () => true, hasProcesses: () => true })
    const sessionLimits = createSessionLimits({
      limits: () => ({ idleMs: 1, lifetimeMs: DAY_MS }),
      bornAt: performance.now() - DAY_MS,
      activity: busy,
      isStopping: () => false,
      reached: limit => reached.push(limit),
    })
    sessionLimits.watch()
    sessionLimits.watch()
    t.same(reached, ['lifetime'])
    t.equal(sessionLimits.facts().endsAt, null)
  },
)

t.test('no limit is reached once the stop has begun, and none while work goes on', async t => {
  const reached: string[] = []
  let isStopping = true
  let isBusy = true
  const activity = createActivity()
  activity.add({ isBusy: () => isBusy, hasProcesses: () => true })
  const sessionLimits = createSessionLimits({
    limits: () => ({ idleMs: 1, lifetimeMs: 0 }),
    bornAt: performance.now(),
    activity,
    isStopping: () => isStopping,
    reached: limit => reached.push(limit),
  })
  sessionLimits.watch()
  t.same([reached, sessionLimits.facts().endsAt], [[], null])
  isStopping = false
  sessionLimits.watch()
  t.same([reached, sessionLimits.facts().idleSince], [[], null])
  isBusy = false
  await until(() => reached.length > 0)
  t.same(reached, ['idle'])
})
