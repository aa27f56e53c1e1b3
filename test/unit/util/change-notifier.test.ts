import t from 'tap'
import { createChangeNotifier } from '../../../src/util/change-notifier.ts'

t.test(
  'a change wakes everything that waits, and a wait that begins later waits again',
  async t => {
    const changes = createChangeNotifier()
    const log: string[] = []
    const wait = async (name: string) => {
      await changes.next()
      log.push(name)
    }
    const both = Promise.all([wait('one'), wait('two')])
    t.same(log, [])
    changes.notify()
    await both
    t.same(log, ['one', 'two'])
    const third = wait('three')
    await new Promise(setImmediate)
    t.same(log, ['one', 'two'])
    changes.notify()
    await third
    t.same(log, ['one', 'two', 'three'])
  },
)
