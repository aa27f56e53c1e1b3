/** From the exit to the end: what is read of pipes that other processes hold open, and how long that may take. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createTally, openRun, tallyRest } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { detach, inspect, mark } from './support.ts'

/** Far above the 250 ms of a drain, far below the 30 s that a cut starter is waited for. */
const SOON_MS = 10_000
/** Longer than a drain. */
const DRAINED_MS = 600

t.test('a descendant that writes without end does not delay the end of a slow starter', async t => {
  const guestd = await startGuestd(t)
  const { env } = mark(t)
  const stream = await openRun(guestd, { id: 'endless', command: 'yes & exit 3', env })
  const from = performance.now()
  const tally = createTally()
  const types: string[] = []
  for (let frame = await stream.next(); frame !== null; frame = await stream.next()) {
    tally.add(frame)
    if (frame.type !== 'output') types.push(frame.type)
    // About 5 MB/s: a frame has at most 64 KiB.
    else await sleep(12)
    if (performance.now() - from > SOON_MS) break
  }
  t.same(types, ['start', 'exit', 'end'])
  t.equal(tally.gaps, 0)
  t.equal((await guestd.request('DELETE', '/v1/commands/endless')).status, 200)
})

t.test('a starter that stalls gets what the pipes held at the exit, and then the end', async t => {
  const guestd = await startGuestd(t)
  const { env } = mark(t)
  // More than the mark at which the starter makes it wait, less than that and both pipes hold.
  const command = 'sleep 300 & head -c 380000 /dev/zero; head -c 200000 /dev/zero >&2; exit 4'
  const stream = await openRun(guestd, { id: 'stalled', command, env })
  await until(async () => (await inspect(guestd, 'stalled')).state === 'ended')
  await sleep(DRAINED_MS)
  const tally = createTally()
  const others = await tallyRest(stream, tally)
  t.same(
    others.map(frame => frame.type),
    ['start', 'exit', 'end'],
  )
  t.match(others.at(-1), { stdoutBytes: 380_000, stderrBytes: 200_000, truncated: 0 })
  t.same([tally.bytes('stdout'), tally.bytes('stderr'), tally.gaps], [380_000, 200_000, 0])
  t.equal((await guestd.request('DELETE', '/v1/commands/stalled')).status, 200)
})

t.test('the session is idle while a starter does not read the end', async t => {
  const guestd = await startGuestd(t, { config: { idleMs: 1_000 } })
  const { env } = mark(t)
  const stream = await openRun(guestd, { command: 'yes & exit 0', env })
  await until(() => guestd.log().includes('"reason":"idle"'))
  stream.cut()
})

t.test('a crash after the exit does not lose it, though the pipes are open', async t => {
  const guestd = await startGuestd(t)
  const { env } = mark(t)
  const exits = ['undrained', 'stalled'].map(id =>
    openRun(guestd, { id, command: 'yes & exit 6', env }),
  )
  const streams = await Promise.all(exits)
  await streams[1]?.upTo('start')
  await sleep(DRAINED_MS)
  const last = await openRun(guestd, { id: 'last', command: 'sleep 300 & exit 7', env })
  await last.upTo('exit')
  await guestd.kill()
  await guestd.start()
  t.match(await inspect(guestd, 'undrained'), { cause: 'exit', exitCode: 6 })
  t.match(await inspect(guestd, 'stalled'), { cause: 'exit', exitCode: 6 })
  t.match(await inspect(guestd, 'last'), { cause: 'exit', exitCode: 7 })
})

t.test('what a process substitution writes within 250 ms comes before the end', async t => {
  const guestd = await startGuestd(t)
  const { stdout, end } = await run(guestd, { command: 'echo hi > >(sleep 0.1; cat)' })
  t.equal(stdout, 'hi\n')
  t.match(end, { stdoutBytes: 3, cursor: 3 })
})

t.test(
  'a kill reads what a stalled starter left in the pipes, for that starter to read',
  async t => {
    const guestd = await startGuestd(t)
    const { env } = mark(t)
    const command = 'head -c 380000 /dev/zero; head -c 200000 /dev/zero >&2; echo > done; sleep 300'
    const stream = await openRun(guestd, { id: 'killed', command, env })
    await until(async () => (await run(guestd, { command: 'ls' })).stdout.includes('done'))
    t.match((await guestd.request('DELETE', '/v1/commands/killed')).json(), { empty: true })
    const tally = createTally()
    const others = await tallyRest(stream, tally)
    t.match(others.at(-1), {
      type: 'end',
      stdoutBytes: 380_000,
      stderrBytes: 200_000,
      truncated: 0,
    })
    t.same([tally.bytes('stdout'), tally.bytes('stderr'), tally.gaps], [380_000, 200_000, 0])
  },
)

t.test(
  'a detached command whose descendant writes on ends, and its output is followed',
  async t => {
    const guestd = await startGuestd(t)
    const { env } = mark(t)
    await detach(guestd, { id: 'detached', command: 'yes & exit 0', env })
    await until(async () => Number((await inspect(guestd, 'detached')).lateBytes) > 0)
    t.match(await inspect(guestd, 'detached'), { exitCode: 0, descendants: 1 })
    t.match((await guestd.request('DELETE', '/v1/commands/detached')).json(), { empty: true })
  },
)
