import t from 'tap'
import { createFrameResumer } from '../../../src/client/frame-resumer.ts'
import type { Frame } from '../../../src/protocol/frames.ts'
import { endFrame, exitFrame, startFrame } from '../../helpers/fake-guest.ts'

const output = (text: string, cursor: number): Frame => ({
  type: 'output',
  stream: 'stdout',
  cursor,
  bytes: Buffer.from(text),
})
const gap = (from: number, to: number): Frame => ({ type: 'gap', from, to, cursor: to })

t.test('frames of one connection pass as they are', async t => {
  const resumer = createFrameResumer(0)
  const frames = [
    startFrame('a', 0),
    output('abc', 3),
    gap(3, 10),
    output('x', 11),
    exitFrame(11),
    endFrame(11, { truncated: 7 }),
  ]
  t.same(
    frames.map(frame => resumer.accept(frame)),
    frames,
  )
  t.equal(resumer.cursor, 11)
  t.equal(resumer.ended, true)
})

t.test('what a resumed stream repeats is left out, to the byte', async t => {
  const resumer = createFrameResumer(0)
  resumer.accept(startFrame('a', 0))
  resumer.accept(output('abcdef', 6))
  resumer.accept(exitFrame(6))
  resumer.reconnected()
  t.equal(resumer.accept(startFrame('a', 4)), null)
  t.equal(resumer.accept(output('cdef', 6)), null)
  t.match(resumer.accept(output('defgh', 8)), { cursor: 8, bytes: Buffer.from('gh') })
  t.equal(resumer.accept(exitFrame(8)), null)
  t.equal(resumer.accept(gap(2, 8)), null)
  t.same(resumer.accept(gap(6, 12)), gap(8, 12))
  t.match(resumer.accept(endFrame(12, { truncated: 6 })), { type: 'end', truncated: 4 })
})

t.test('the gaps of all connections are counted in the end', async t => {
  const resumer = createFrameResumer(0)
  resumer.accept(gap(0, 5))
  resumer.reconnected()
  resumer.accept(gap(5, 7))
  t.match(resumer.accept(endFrame(7, { truncated: 2 })), { truncated: 7 })
})

t.test('bytes that are missing without a gap are an error, never silent', async t => {
  const resumer = createFrameResumer(100)
  t.throws(() => resumer.accept(output('abc', 104)), {
    code: 'internal',
    message: 'bytes 100 to 101 are missing from the stream',
  })
})

t.test("guestd's own failure inside a stream is thrown with its code", async t => {
  const resumer = createFrameResumer(0)
  t.throws(() => resumer.accept({ type: 'error', code: 'stopping', message: 'it stops' }), {
    code: 'stopping',
    message: 'it stops',
  })
  t.throws(() => resumer.accept({ type: 'error', code: 'new_code', message: 'why' }), {
    code: 'internal',
    message: 'why (new_code)',
  })
})
