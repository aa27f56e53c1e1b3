import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import t from 'tap'
import { createIdleTimer, streamIdleTimeoutMs } from '../../../src/client/idle-timeout.ts'

function limitFor(header: string | undefined): number {
  const reply = new IncomingMessage(new Socket())
  if (header !== undefined) reply.headers['guestd-keepalive-ms'] = header
  return streamIdleTimeoutMs(reply)
}

t.test('three keepalives of the interval that guestd names have to be missing', async t => {
  t.equal(limitFor('60000'), 180_000)
  t.equal(limitFor('600000'), 1_800_000)
  t.equal(limitFor('15000'), 45_000)
  t.equal(limitFor('10'), 5_000, 'a loaded machine has its time')
})

t.test('without a valid interval the default of guestd counts', async t => {
  for (const header of [undefined, '', '0', '-5', '1.5', '600001', 'Infinity', 'x'])
    t.equal(limitFor(header), 45_000, String(header))
})

t.test('an idle timer fires once after its limit, and again after a refresh', async t => {
  let fired = 0
  const timer = createIdleTimer(50, () => {
    fired += 1
  })
  await new Promise(resolve => setTimeout(resolve, 400))
  t.equal(fired, 1)
  timer.refresh()
  await new Promise(resolve => setTimeout(resolve, 400))
  t.equal(fired, 2)
  timer.stop()
  timer.refresh()
  await new Promise(resolve => setTimeout(resolve, 400))
  t.equal(fired, 2, 'a stopped timer stays stopped')
})

t.test('a limit of 0 is none', async t => {
  let fired = false
  createIdleTimer(0, () => {
    fired = true
  }).refresh()
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(fired, false)
})

t.test('time in which nothing could be read is not counted as silence', async t => {
  let fired = false
  const timer = createIdleTimer(1_000, () => {
    fired = true
  })
  // Blocks the event loop, as a stop of the process does.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000)
  await new Promise(resolve => setTimeout(resolve, 0))
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(fired, false)
  timer.stop()
})
