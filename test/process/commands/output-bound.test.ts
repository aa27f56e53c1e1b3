/** The bound on the output of all commands together. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createTally, openOutput, openRun, tallyRest } from '../../helpers/frame-stream.ts'
import { startGuestd, until } from '../../helpers/guestd.ts'
import { sha256 } from '../../helpers/sha256.ts'
import { inspect, MIB, stoppedAt } from './support.ts'

const types = (frames: readonly { type: string }[]) => frames.map(frame => frame.type)

t.test('all commands together stay below the bound on output', async t => {
  const COMMANDS = 16
  const output = { ringBytes: MIB, totalBytes: 4 * MIB }
  const guestd = await startGuestd(t, { config: { output, maxCommands: 32 } })
  const bytes = randomBytes(3 * MIB)
  writeFileSync(join(guestd.workspace, 'bytes'), bytes)
  const ids = Array.from({ length: COMMANDS }, (_, index) => `all-${index}`)
  // Half of them are waited for by a starter that reads, half run without one.
  const read = async (id: string) => {
    const tally = createTally()
    const others = await tallyRest(await openRun(guestd, { id, command: 'cat bytes' }), tally)
    return { gaps: tally.gaps, sha256: tally.sha256('stdout'), end: others.at(-1) }
  }
  const detach = (id: string) =>
    guestd.request('POST', '/v1/commands', { body: { id, command: 'cat bytes', detach: true } })
  const held = async () => {
    // One reply is one moment.
    const { commands } = (await guestd.request('GET', '/v1/commands')).json()
    const infos = commands as { cursor: number; firstCursor: number }[]
    return infos.reduce((sum, one) => sum + one.cursor - one.firstCursor, 0)
  }
  const watch = { most: 0, over: false }
  const watching = (async () => {
    while (!watch.over) watch.most = Math.max(watch.most, await held())
  })()
  const results = await Promise.all(
    ids.map((id, index) => (index % 2 === 0 ? read(id) : detach(id).then(() => null))),
  )
  await until(async () =>
    (await Promise.all(ids.map(id => inspect(guestd, id)))).every(one => one.state === 'ended'),
  )
  watch.over = true
  await watching
  for (const result of results) {
    if (result === null) continue
    t.match(result, { gaps: 0, sha256: sha256(bytes), end: { truncated: 0 } })
  }
  t.ok(watch.most <= output.totalBytes, `at most ${watch.most} bytes were held`)
  t.ok((await held()) <= output.totalBytes)
  t.ok((await held()) > output.totalBytes / 4, 'something is kept')
})

t.test('under that bound a starter that stalls, is cut and comes back loses nothing', async t => {
  const STARTERS = 8
  const output = { ringBytes: 2 * MIB, totalBytes: 8 * MIB }
  const guestd = await startGuestd(t, { config: { output, maxCommands: STARTERS + 8 } })
  const bytes = randomBytes(2 * MIB)
  writeFileSync(join(guestd.workspace, 'bytes'), bytes)
  const ids = Array.from({ length: STARTERS }, (_, index) => `pressed-${index}`)
  const streams = await Promise.all(
    ids.map(id => openRun(guestd, { id, command: 'cat bytes; cat bytes >&2' })),
  )
  const tallies = ids.map(() => createTally())
  for (const [index, stream] of streams.entries())
    for (const frame of await stream.upTo('output')) tallies[index]?.add(frame)
  for (const id of ids) await stoppedAt(guestd, id)
  // Others press on the same bound meanwhile.
  for (let i = 0; i < 4; i++)
    await guestd.request('POST', '/v1/commands', { body: { argv: ['cat', 'bytes'], detach: true } })
  await sleep(300)
  for (const stream of streams) stream.cut()
  await Promise.all(
    ids.map(async (id, index) => {
      const tally = tallies[index]
      const cursor = streams[index]?.cursor
      if (tally === undefined) return
      const again = await openOutput(guestd, id, `cursor=${cursor}&follow=true&hold=true`)
      const others = await tallyRest(again, tally)
      t.same(types(others), ['start', 'exit', 'end'], id)
      t.equal(tally.sha256('stdout'), sha256(bytes))
      t.equal(tally.sha256('stderr'), sha256(bytes))
    }),
  )
})
