import t from 'tap'
import { createSerialQueue } from '../../../src/util/serial-queue.ts'

t.test(
  'work runs one piece at a time, in the order of the calls, also after a failure',
  async t => {
    const inOrder = createSerialQueue()
    const first = Promise.withResolvers<string>()
    const log: string[] = []
    const results = Promise.allSettled([
      inOrder(async () => {
        log.push('first begins')
        return await first.promise
      }),
      inOrder(() => {
        log.push('second fails')
        throw new Error('second')
      }),
      inOrder(() => 'third'),
    ])
    await Promise.resolve()
    t.same(log, ['first begins'])
    first.resolve('first')
    const [one, two, three] = await results
    t.same(one, { status: 'fulfilled', value: 'first' })
    t.equal(two?.status, 'rejected')
    t.same(three, { status: 'fulfilled', value: 'third' })
    t.same(log, ['first begins', 'second fails'])
  },
)
