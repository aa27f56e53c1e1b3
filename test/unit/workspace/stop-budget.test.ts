import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { table } from '../../../src/config/settings.ts'
import { startBudget, stopParts, totalMs } from '../../../src/workspace/stop-budget.ts'

const FLUSH_LIMIT_MS = 120_000
/** For followers to take the last lines. */
const LAST_FRAMES_MS = 2_000

t.test('the parts after the flush have a minute in all, as the documents promise', async t => {
  t.equal(totalMs(stopParts(FLUSH_LIMIT_MS)), FLUSH_LIMIT_MS + 60_000)
  t.equal(totalMs(stopParts(100)), 60_100)
})

t.test('if every part takes all of its time, the stop takes exactly the sum', async t => {
  const parts = stopParts(FLUSH_LIMIT_MS)
  let now = 5_000
  const budget = startBudget(parts, () => now)
  for (const [part, ms] of parts) {
    t.equal(budget.leftMs(part), ms, `${part} has its own time left`)
    now += budget.leftMs(part)
    t.equal(budget.leftMs(part), 0)
  }
  t.equal(now, 5_000 + totalMs(parts))
})

t.test(
  'a part may use the time that earlier parts have left over, up to its own limit',
  async t => {
    let now = 0
    const budget = startBudget(stopParts(1_000), () => now)
    t.equal(budget.deadline('flush'), 1_000)
    t.equal(budget.leftMs('unmount', 10_000), 10_000)
    t.equal(budget.leftMs('clear'), 1_000 + 5_000 + 6_000)
    now = 100_000
    t.equal(budget.leftMs('detach'), 0, 'and never less than nothing')
  },
)

t.test('systemd waits for the whole stop with default settings', async t => {
  const unit = readFileSync(join(import.meta.dirname, '../../../systemd/guestd.service'), 'utf8')
  const seconds = Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1])
  const workspaceMs = totalMs(stopParts(table.flushLimitMs.fallback))
  t.ok(seconds * 1_000 >= table.stopLimitMs.fallback + workspaceMs + LAST_FRAMES_MS, `${seconds} s`)
})
