import t from 'tap'
import type { Mark } from '../../../src/volume/mark.ts'
import { judge, type RetentionSettings } from '../../../src/volume/retention.ts'

const DAY_MS = 24 * 3_600_000
const NOW_MS = Date.parse('2026-06-30T00:00:00Z')
/** By the host's clock, and by that of the machine. */
const time = (ms: number, byHost = true) => ({ at: new Date(ms).toISOString(), byHost })
const NOW = time(NOW_MS)

const keep: RetentionSettings = {
  retentionMs: 14 * DAY_MS,
  onExpired: 'keep',
  onVersionChange: 'keep',
}
const reset: RetentionSettings = { ...keep, onExpired: 'reset', onVersionChange: 'reset' }

function mark(daysAgo: number, more: Partial<Mark> = {}): Mark {
  return {
    sequence: 1,
    sessionId: 'one',
    runtimeVersion: '1',
    generation: 1,
    state: 'clean',
    at: new Date(NOW_MS - daysAgo * DAY_MS).toISOString(),
    lastActivityBy: 'host',
    receipt: null,
    ...more,
  }
}

const owner = (runtimeVersion: string | null) => ({ sessionId: 'one', runtimeVersion })

t.test('a volume expires after so long without activity, and not a moment before', async t => {
  t.same(judge(mark(14), null, keep, NOW), { expired: true, reset: null, keptBecause: null })
  t.same(judge(mark(14), null, keep, time(NOW_MS - 1)), {
    expired: false,
    reset: null,
    keptBecause: null,
  })
  t.same(judge(mark(14), owner(null), reset, NOW), {
    expired: true,
    reset: 'expired',
    keptBecause: null,
  })
  t.same(judge(mark(14), owner(null), { ...reset, retentionMs: 0 }, NOW), {
    expired: false,
    reset: null,
    keptBecause: null,
  })
  const active = { lastActivityAt: NOW.at }
  t.same(judge(mark(100, active), owner(null), reset, NOW), {
    expired: false,
    reset: null,
    keptBecause: null,
  })
})

t.test(
  'nothing is started empty before it is sure that it has expired, and whose it is',
  async t => {
    const kept = (keptBecause: string) => ({ expired: true, reset: null, keptBecause })
    const because = {
      owner: kept('the session that will use it is not known'),
      unclean: kept('it was not left clean, so its last activity is not known'),
    }
    t.same(judge(mark(14), null, reset, NOW), because.owner)
    t.same(judge(mark(14, { state: 'inUse' }), owner(null), reset, NOW), because.unclean)
  },
)

t.test(
  'no clock of a machine has a volume started empty: not the one now, not the one before',
  async t => {
    t.same(judge(mark(14), owner(null), reset, time(NOW_MS, false)), {
      expired: true,
      reset: null,
      keptBecause: 'the host has not sent its time (hostTime), and a clock may be wrong',
    })
    t.same(judge(mark(14, { lastActivityBy: undefined }), owner(null), reset, NOW), {
      expired: true,
      reset: null,
      keptBecause: "its last activity is known by a machine's clock alone, not by the host's",
    })
    const changed = judge(mark(14), owner('2'), reset, time(NOW_MS, false))
    t.same(changed, { expired: true, reset: 'versionChanged', keptBecause: null })
  },
)

t.test('a clock that is behind has nothing expire', async t => {
  t.same(judge(mark(-1_000), owner(null), reset, NOW), {
    expired: false,
    reset: null,
    keptBecause: null,
  })
  t.same(judge(mark(0), owner(null), reset, time(0)), {
    expired: false,
    reset: null,
    keptBecause: null,
  })
})

t.test('of a volume that was never used nothing is known', async t => {
  t.same(judge(null, owner('2'), reset, NOW), { expired: false, reset: null, keptBecause: null })
  t.same(judge(mark(100, { generation: 0 }), owner('2'), reset, NOW), {
    expired: false,
    reset: null,
    keptBecause: null,
  })
})

t.test('a version changes only where both are known', async t => {
  const none = { expired: false, reset: null, keptBecause: null }
  t.same(judge(mark(1), owner('2'), keep, NOW), none)
  t.same(judge(mark(1), owner('2'), reset, NOW), {
    expired: false,
    reset: 'versionChanged',
    keptBecause: null,
  })
  t.same(judge(mark(1), owner('1'), reset, NOW), none)
  t.same(judge(mark(1), owner(null), reset, NOW), none)
  t.same(judge(mark(1), null, reset, NOW), none)
  t.same(judge(mark(1, { runtimeVersion: null }), owner('2'), reset, NOW), none)
})
