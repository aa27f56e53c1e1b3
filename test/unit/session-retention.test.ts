import t from 'tap'
import type { Mark } from '../../src/protocol/volume/mark.ts'
import { judge, type RetentionSettings } from '../../src/session/retention.ts'

const DAY_MS = 24 * 3_600_000
const NOW = Date.parse('2026-06-30T00:00:00Z')

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
    at: new Date(NOW - daysAgo * DAY_MS).toISOString(),
    receipt: null,
    ...more,
  }
}

const owner = (runtimeVersion: string | null) => ({ sessionId: 'one', runtimeVersion })

t.test('a volume expires after so long without activity, and not a moment before', async t => {
  t.same(judge(mark(14), null, keep, NOW), { expired: true, reset: null })
  t.same(judge(mark(14), null, keep, NOW - 1), { expired: false, reset: null })
  t.same(judge(mark(14), owner(null), reset, NOW), { expired: true, reset: 'expired' })
  t.same(judge(mark(14), owner(null), { ...reset, retentionMs: 0 }, NOW), {
    expired: false,
    reset: null,
  })
  const active = { lastActivityAt: new Date(NOW).toISOString() }
  t.same(judge(mark(100, active), owner(null), reset, NOW), { expired: false, reset: null })
})

t.test(
  'nothing is started empty before it is sure that it has expired, and whose it is',
  async t => {
    const told = { expired: true, reset: null }
    t.same(judge(mark(14), null, reset, NOW), told)
    t.same(judge(mark(14, { state: 'inUse' }), owner(null), reset, NOW), told)
  },
)

t.test('a clock that is behind has nothing expire', async t => {
  t.same(judge(mark(-1_000), owner(null), reset, NOW), { expired: false, reset: null })
  t.same(judge(mark(0), owner(null), reset, 0), { expired: false, reset: null })
})

t.test('of a volume that was never used nothing is known', async t => {
  t.same(judge(null, owner('2'), reset, NOW), { expired: false, reset: null })
  t.same(judge(mark(100, { generation: 0 }), owner('2'), reset, NOW), {
    expired: false,
    reset: null,
  })
})

t.test('a version changes only where both are known', async t => {
  const none = { expired: false, reset: null }
  t.same(judge(mark(1), owner('2'), keep, NOW), none)
  t.same(judge(mark(1), owner('2'), reset, NOW), { expired: false, reset: 'versionChanged' })
  t.same(judge(mark(1), owner('1'), reset, NOW), none)
  t.same(judge(mark(1), owner(null), reset, NOW), none)
  t.same(judge(mark(1), null, reset, NOW), none)
  t.same(judge(mark(1, { runtimeVersion: null }), owner('2'), reset, NOW), none)
})
