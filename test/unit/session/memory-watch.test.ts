import t from 'tap'
import type { EventFacts } from '../../../src/events/event-log.ts'
import { createMemoryWatch } from '../../../src/session/memory-watch.ts'

const MIB = 1024 * 1024
const LIMIT = 800 * MIB

t.test('memory is full with less than an eighth left, until three sixteenths are', async t => {
  const events: EventFacts[] = []
  let left = 0
  const look = createMemoryWatch(
    () => ({ limitBytes: LIMIT, usedBytes: left * MIB, leftBytes: left * MIB }),
    event => void events.push(event),
  )
  const reasonWith = (mib: number) => {
    left = mib
    return look()
  }
  t.equal(reasonWith(0), null)
  t.equal(reasonWith(700), null)
  t.equal(
    reasonWith(701),
    'memory: files in memory and shared memory hold 701 of the 800 MiB that commands may take',
  )
  t.type(reasonWith(660), 'string', 'a little less changes nothing')
  t.equal(reasonWith(650), null)
  t.same(events, [
    { type: 'memory', full: true, limitBytes: LIMIT, leftBytes: 701 * MIB },
    { type: 'memory', full: false, limitBytes: LIMIT, leftBytes: 650 * MIB },
  ])
})

t.test('without a limit nothing is full', async t => {
  const look = createMemoryWatch(
    () => null,
    () => t.fail('there is no event'),
  )
  t.equal(look(), null)
})
