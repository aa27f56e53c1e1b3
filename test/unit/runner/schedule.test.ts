import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Group, Kind, Step } from '../../runner/groups.ts'
import { lanesOf, runSteps } from '../../runner/schedule.ts'

const GIB = 1024 ** 3

const stepsOf = (kind: Kind, count: number): Step[] => {
  const group: Group = { name: kind, kind, commands: [] }
  return Array.from({ length: count }, (_, n) => ({ group, argv: [`${kind} ${n}`] }))
}

/** Runs all of it; what began, in order, and the most of a kind at a time. */
async function record(steps: readonly Step[], lanes: number, machines: number) {
  const began: string[] = []
  const running = { host: 0, machine: 0 }
  const most = { host: 0, machine: 0, all: 0 }
  await runSteps(steps, { lanes, machines }, async ({ group: { kind }, argv }) => {
    began.push(argv.join(' '))
    running[kind] += 1
    most[kind] = Math.max(most[kind], running[kind])
    most.all = Math.max(most.all, running.host + running.machine)
    await sleep(kind === 'host' ? 5 : 8)
    running[kind] -= 1
  })
  return { began, most }
}

t.test(
  'every step runs once, programs beside machines, then machines beside each other',
  async t => {
    const steps = [...stepsOf('host', 3), ...stepsOf('machine', 6)]
    const { began, most } = await record(steps, 2, 2)
    t.same(began.toSorted(), steps.map(({ argv }) => argv[0]).toSorted())
    t.same(began.slice(0, 2), ['host 0', 'machine 0'])
    t.same(most, { host: 1, machine: 2, all: 2 })
  },
)

t.test('tests of programs never run beside each other', async t => {
  const { began, most } = await record(stepsOf('host', 5), 4, 4)
  t.same(began, ['host 0', 'host 1', 'host 2', 'host 3', 'host 4'])
  t.same(most, { host: 1, machine: 0, all: 1 })
})

t.test('no more machines run than memory has room for', async t => {
  const { began, most } = await record([...stepsOf('host', 2), ...stepsOf('machine', 5)], 4, 1)
  t.equal(began.length, 7)
  t.same(most, { host: 1, machine: 1, all: 2 })
})

t.test('a step that throws ends the run', async t => {
  const failing = runSteps(stepsOf('host', 2), { lanes: 2, machines: 1 }, () =>
    Promise.reject(new Error('no such program')),
  )
  await t.rejects(failing, { message: 'no such program' })
})

t.test('lanes follow the processors, machines the memory', async t => {
  t.same(lanesOf(2, 16 * GIB), { lanes: 2, machines: 2 })
  t.same(lanesOf(1, 2 * GIB), { lanes: 2, machines: 1 })
  t.same(lanesOf(64, 12 * GIB), { lanes: 4, machines: 3 })
  t.same(lanesOf(64, 256 * GIB), { lanes: 4, machines: 4 })
})
