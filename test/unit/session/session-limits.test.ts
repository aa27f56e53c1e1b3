import t from 'tap'
import { createExpiry } from '../../../src/session/session-limits.ts'

const DAY_MS = 86_400_000

t.test('a change of the time of day neither ends the session nor keeps it', async t => {
  const reached: string[] = []
  const now = Date.now
  t.teardown(() => {
    Date.now = now
  })
  const limits = { idleMs: DAY_MS, lifetimeMs: 2 * DAY_MS }
  const expiry = createExpiry({
    limits: () => limits,
    bornAt: performance.now(),
    busy: () => false,
    reached: limit => reached.push(limit),
  })
  t.teardown(expiry.end)
  for (const days of [10, -10]) {
    Date.now = () => now() + days * DAY_MS
    expiry.watch()
    t.same(reached, [])
    const left = Date.parse(expiry.facts().endsAt ?? '') - Date.now()
    t.ok(left > DAY_MS / 2 && left <= DAY_MS, 'it is told in the new time')
  }
})

t.test(
  'a lifetime that passed in a guestd before this one is reached at once, and once',
  async t => {
    const reached: string[] = []
    const expiry = createExpiry({
      limits: () => ({ idleMs: 1, lifetimeMs: DAY_MS }),
      bornAt: performance.now() - DAY_MS,
      busy: () => true,
      reached: limit => reached.push(limit),
    })
    expiry.watch()
    expiry.watch()
    t.same(reached, ['lifetime'])
    t.equal(expiry.facts().endsAt, null)
  },
)
