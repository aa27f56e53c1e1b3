/** A command that guestd has ended frees its place among `maxCommands`, also while another process holds its pipes. */
import { closeSync, openSync } from 'node:fs'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { type Guestd, run, startGuestd, until } from '../../helpers/guestd.ts'
import { detach, inspect, mark, remove } from './support.ts'

const ONE = { config: { maxCommands: 1, killGraceMs: 60_000 } }
/** Far above a stop without a wait, far below `stopLimitMs`, 15 s. */
const AT_ONCE_MS = 6_000

/** Opens the standard output of a process, as another process of its user may. Closed with the test. */
function holdOutput(t: { teardown(undo: () => unknown): void }, pid: unknown): void {
  const fd = openSync(`/proc/${pid}/fd/1`, 'w')
  t.teardown(() => closeSync(fd))
}

async function pidOf(guestd: Guestd, id: string): Promise<unknown> {
  await until(async () => (await inspect(guestd, id)).pid !== null)
  return (await inspect(guestd, id)).pid
}

t.test('a killed command whose starter stalls takes no place', async t => {
  const guestd = await startGuestd(t, ONE)
  const stream = await openRun(guestd, { id: 'stalled', command: 'yes' })
  await until(async () => Number((await inspect(guestd, 'stalled')).cursor) > 200_000)
  t.equal((await remove(guestd, 'stalled')).status, 200)
  t.equal((await run(guestd, { command: 'echo next' })).stdout, 'next\n')
  stream.cut()
})

t.test('a command that its timeout ended takes no place', async t => {
  const guestd = await startGuestd(t, ONE)
  const stream = await openRun(guestd, { id: 'late', command: 'yes', timeoutMs: 300 })
  await until(async () => (await inspect(guestd, 'late')).state === 'ended')
  await until(async () => (await detach(guestd, { command: 'true' })).status === 202)
  t.match(await inspect(guestd, 'late'), { cause: 'timeout' })
  stream.cut()
})

t.test('a killed command whose pipe an outside process holds takes no place', async t => {
  const guestd = await startGuestd(t, ONE)
  await detach(guestd, { id: 'held', command: 'sleep 300' })
  holdOutput(t, await pidOf(guestd, 'held'))
  t.equal((await remove(guestd, 'held')).status, 200)
  t.match(await inspect(guestd, 'held'), { cause: 'killed', state: 'ended' })
  t.equal((await run(guestd, { command: 'echo next' })).stdout, 'next\n')
})

t.test('a timeout frees the place, without the grace when nothing is left to wait for', async t => {
  const guestd = await startGuestd(t, ONE)
  await detach(guestd, { id: 'held', command: 'sleep 300', timeoutMs: 1_000 })
  holdOutput(t, await pidOf(guestd, 'held'))
  await until(async () => (await detach(guestd, { command: 'true' })).status === 202)
  t.match(await inspect(guestd, 'held'), { cause: 'timeout', state: 'ended' })
})

t.test('a kill frees the place of a command that has ended, with its pipe held', async t => {
  const guestd = await startGuestd(t, ONE)
  const { env } = mark(t)
  await detach(guestd, { id: 'ended', command: 'while [ ! -e go ]; do sleep 0.02; done', env })
  holdOutput(t, await pidOf(guestd, 'ended'))
  await run(await startGuestd(t), { command: `touch ${guestd.workspace}/go` })
  await until(async () => (await inspect(guestd, 'ended')).state === 'ended')
  t.equal((await detach(guestd, { command: 'true' })).status, 429, 'its output may go on')
  t.equal((await remove(guestd, 'ended')).status, 200)
  t.equal((await detach(guestd, { command: 'true' })).status, 202)
})

t.test('a stop does not wait for a pipe that an outside process holds', async t => {
  const guestd = await startGuestd(t)
  const { env } = mark(t)
  await detach(guestd, { id: 'running', command: 'sleep 300', env })
  holdOutput(t, await pidOf(guestd, 'running'))
  await detach(guestd, { id: 'ended', command: 'while [ ! -e go ]; do sleep 0.02; done', env })
  holdOutput(t, await pidOf(guestd, 'ended'))
  await run(guestd, { command: 'touch go' })
  await until(async () => (await inspect(guestd, 'ended')).state === 'ended')
  const from = performance.now()
  t.equal(await guestd.stop(), 0)
  const tookMs = performance.now() - from
  t.ok(tookMs < AT_ONCE_MS, `the stop took ${Math.round(tookMs)} ms`)
})
