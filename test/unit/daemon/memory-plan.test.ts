import t from 'tap'
import { planMemory } from '../../../src/daemon/memory-plan.ts'

const MIB = 1024 * 1024

function plan(memoryMib: number, settings: { totalMib?: number; reserveMib?: number } = {}) {
  const { totalMib = 128, reserveMib } = settings
  const memoryBytes = reserveMib === undefined ? null : reserveMib * MIB
  const output = { ringBytes: 16 * MIB, totalBytes: totalMib * MIB, keepMs: 0, keepCommands: 0 }
  const planned = planMemory({ output, reserve: { memoryBytes, pids: 0 } }, memoryMib * MIB)
  const { ringBytes, totalBytes } = planned.output
  return [ringBytes / MIB, totalBytes / MIB, planned.reserveBytes / MIB, planned.isLowered]
}

t.test('output and its reserve are as the settings say where there is memory for them', async t => {
  t.same(plan(4096), [16, 128, 288, false])
  t.same(plan(864), [16, 128, 288, false])
  t.same(plan(4096, { totalMib: 1024 }), [16, 1024, 1184, false])
  t.same(plan(Number.POSITIVE_INFINITY), [16, 128, 288, false])
})

t.test(
  'on a small machine output gets what a third of it leaves, or a sixteenth of it',
  async t => {
    t.same(plan(768), [16, 96, 256, true])
    t.same(plan(512), [16, 32, 192, true])
    t.same(plan(256), [16, 16, 176, true])
    t.same(plan(128), [8, 8, 168, true])
    t.same(plan(256, { totalMib: 16 }), [16, 16, 176, false])
  },
)

t.test('a reserve that is set is kept as it is', async t => {
  t.same(plan(4096, { reserveMib: 0 }), [16, 128, 0, false])
  t.same(plan(4096, { reserveMib: 100 }), [16, 128, 100, false])
})
