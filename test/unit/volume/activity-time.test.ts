import t from 'tap'
import { activityOf, laterActivity } from '../../../src/volume/activity-time.ts'

const EARLY = '2026-01-01T00:00:00.000Z'
const LATE = '2026-02-01T00:00:00.000Z'
const byHost = (at: string) => ({ at, byHost: true })
const byMachine = (at: string) => ({ at, byHost: false })

t.test('of two times by one clock the later one counts', async t => {
  for (const by of [byHost, byMachine]) {
    t.same(laterActivity(by(EARLY), by(LATE)), by(LATE))
    t.same(laterActivity(by(LATE), by(EARLY)), by(LATE))
    t.same(laterActivity(null, by(EARLY)), by(EARLY))
  }
})

t.test(
  "the host's time replaces that of a machine, and after it the machine's is the later one",
  async t => {
    t.same(laterActivity(byMachine(LATE), byHost(EARLY)), byHost(EARLY))
    t.same(laterActivity(byHost(EARLY), byMachine(LATE)), byMachine(LATE))
    // Work is in progress, so the activity is later than the host's time by an unknown amount.
    t.same(laterActivity(byHost(LATE), byMachine(EARLY)), byMachine(LATE))
  },
)

t.test('a mark without a clock has the time of a machine', async t => {
  const mark = {
    sequence: 1,
    sessionId: null,
    runtimeVersion: null,
    generation: 1,
    state: 'clean',
    at: EARLY,
    receipt: null,
  } as const
  t.same(activityOf(mark), byMachine(EARLY))
  t.same(activityOf({ ...mark, lastActivityAt: LATE }), byMachine(LATE))
  t.same(activityOf({ ...mark, lastActivityAt: LATE, lastActivityBy: 'host' }), byHost(LATE))
  t.equal(activityOf({ ...mark, generation: 0 }), null)
})
