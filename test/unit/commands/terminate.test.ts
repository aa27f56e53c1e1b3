import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { killUntilEmpty } from '../../../src/commands/terminate.ts'

t.test('a kill of what cannot be killed looks ever more rarely, and ends with it', async t => {
  let kills = 0
  let empty = false
  const containment = {
    kill: () => {
      kills += 1
    },
    isEmpty: () => empty,
  }
  const killing = killUntilEmpty(containment)
  await sleep(2_000)
  const atFirst = kills
  t.ok(atFirst >= 10, `${atFirst} kills in the first two seconds`)
  await sleep(1_500)
  // With a pause of 50 ms there would be 30.
  t.ok(kills - atFirst <= 8, `${kills - atFirst} kills in the 1.5 seconds after them`)
  empty = true
  await killing
  t.ok(kills > atFirst)
})

t.test('a kill that empties at once is one', async t => {
  let kills = 0
  await killUntilEmpty({ kill: () => (kills += 1), isEmpty: () => true })
  t.equal(kills, 1)
})
