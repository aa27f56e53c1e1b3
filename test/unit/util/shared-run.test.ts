import t from 'tap'
import { createSharedRun } from '../../../src/util/shared-run.ts'

t.test('callers during a run share one run that starts after it', async t => {
  const shared = createSharedRun<string>()
  const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  const begun: string[] = []
  const work = (name: string) => () => {
    begun.push(name)
    return gates[begun.length - 1]?.promise ?? Promise.resolve('no gate')
  }
  const first = shared.run(work('first'))
  const second = shared.run(work('second'))
  t.equal(shared.run(work('third')), second)
  t.same(begun, ['first'])
  t.equal(shared.isRunning, true)
  gates[0]?.resolve('1')
  t.equal(await first, '1')
  t.equal(
    shared.run(work('fourth')),
    second,
    'the queued run also serves a caller before it starts',
  )
  gates[1]?.resolve('2')
  t.equal(await second, '2')
  t.same(begun, ['first', 'second'])
  t.equal(shared.isRunning, false)
})

t.test('a run that fails does not stop the next one', async t => {
  const shared = createSharedRun<string>()
  const failing = shared.run(() => Promise.reject(new Error('failed')))
  const next = shared.run(async () => 'next')
  await t.rejects(failing, { message: 'failed' })
  t.equal(await next, 'next')
})

t.test('settled waits for the queued run too', async t => {
  const shared = createSharedRun<void>()
  const gate = Promise.withResolvers<void>()
  let runs = 0
  const work = async () => {
    await gate.promise
    runs += 1
  }
  void shared.run(work)
  void shared.run(work)
  const settled = shared.settled()
  gate.resolve()
  await settled
  t.equal(runs, 2)
  t.equal(shared.isRunning, false)
})
