import fc from 'fast-check'
import t from 'tap'
import { Value } from 'typebox/value'
import type { EndFrame, Frame } from '../../../src/protocol/frames.ts'
import { CommandSummary, SUMMARY_STREAM_BYTES } from '../../../src/protocol/schemas.ts'
import { createSummary } from '../../../src/protocol/summary.ts'
import { createTailBuffer, FIRST_BYTES } from '../../../src/protocol/tail-buffer.ts'
import { exitFrame, startFrame } from '../../helpers/fake-guest.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { thrownBy } from '../../helpers/thrown-by.ts'
import { anyBytes, holds } from './sample-frames.ts'

const start = startFrame('x1', 0)
const exit = exitFrame(8, { exitCode: 3, durationMs: 5 })
const end: EndFrame = {
  type: 'end',
  stdoutBytes: 6,
  stderrBytes: 2,
  truncated: 0,
  descendants: 1,
  cursor: 8,
}
const output = (stream: 'stdout' | 'stderr', bytes: Uint8Array): Frame => ({
  type: 'output',
  stream,
  cursor: 8,
  bytes,
})

function summarize(frames: readonly Frame[]): CommandSummary {
  const summary = createSummary()
  for (const frame of frames) summary.add(frame)
  return summary.finish()
}

t.test('a run becomes one object with the fields of exit and end', async t => {
  const frames = [
    start,
    output('stdout', Buffer.from('hé')),
    output('stderr', Buffer.from([0xff, 0xfe])),
    output('stdout', Buffer.from('llo')),
    exit,
    end,
  ]
  const summary = summarize(frames)
  const { type: _exit, ...exitFields } = exit
  const { type: _end, ...endFields } = end
  const streams = { stdout: 'héllo', stdoutCut: 0, stderrBase64: '//4=', stderrCut: 0 }
  t.same(summary, { id: 'x1', ...exitFields, ...endFields, ...streams })
  t.ok(Value.Check(CommandSummary, summary))
})

t.test('a command that still runs has null where nothing is known yet', async t => {
  const summary = summarize([start, output('stdout', Buffer.from('a'))])
  matchExactly(t, summary, {
    id: 'x1',
    cause: null,
    exitCode: null,
    stdoutBytes: null,
    stdout: 'a',
    cursor: 8,
  })
  t.ok(Value.Check(CommandSummary, summary))
})

t.test('of a long stream the last 1 MiB is kept, from the beginning of a character on', async t => {
  const long = Buffer.from('😀'.repeat(SUMMARY_STREAM_BYTES / 4))
  const summary = summarize([start, output('stdout', long), output('stdout', Buffer.from('x'))])
  t.equal(summary.stdout, `${'😀'.repeat(SUMMARY_STREAM_BYTES / 4 - 1)}x`)
  t.equal(summary.stdoutCut, 4, 'the whole character counts as cut')
  t.equal(summary.stderrCut, 0)
  const exact = summarize([start, output('stderr', long)])
  t.equal(exact.stderr, long.toString())
  t.equal(exact.stderrCut, 0)
})

t.test('of a long stream that is no text all of the last 1 MiB is kept', async t => {
  const noise = Buffer.alloc(SUMMARY_STREAM_BYTES + 5, 0x80)
  const { stdoutBase64, stdoutCut } = summarize([start, output('stdout', noise)])
  t.equal(stdoutCut, 5)
  t.equal(Buffer.from(stdoutBase64 ?? '', 'base64').length, SUMMARY_STREAM_BYTES)
})

t.test('the caller chooses how much is kept, and what is cut is counted', async t => {
  const frames = [
    start,
    output('stdout', Buffer.from('abc')),
    output('stdout', Buffer.from('defgh')),
    output('stderr', Buffer.from('xyz')),
  ]
  for (const [limit, stdout, stderr] of [
    [0, '', ''],
    [1, 'h', 'z'],
    [4, 'efgh', 'xyz'],
    [8, 'abcdefgh', 'xyz'],
  ] as const) {
    const summary = createSummary(limit)
    for (const frame of frames) summary.add(frame)
    const kept = summary.finish()
    t.equal(kept.stdout, stdout)
    t.equal(kept.stderr, stderr)
    t.equal(kept.stdoutCut, 8 - stdout.length)
    t.equal(kept.stderrCut, 3 - stderr.length)
  }
})

t.test("the daemon's own failure is thrown with its code", async t => {
  const known: Frame = { type: 'error', code: 'stopping', message: 'going' }
  t.match(
    thrownBy(() => summarize([start, known])),
    { code: 'stopping', message: 'going' },
  )
  const unknown: Frame = { type: 'error', code: 'toString', message: 'x' }
  t.match(
    thrownBy(() => summarize([start, unknown])),
    { code: 'internal' },
  )
  t.match(
    thrownBy(() => summarize([exit, end])),
    { code: 'internal' },
  )
})

t.test('what is handed over may change afterwards', async t => {
  const bytes = Buffer.from('before')
  const summary = createSummary()
  summary.add(start)
  summary.add(output('stdout', bytes))
  bytes.fill('x')
  t.equal(summary.finish().stdout, 'before')
})

t.test('a tail holds the last bytes of any pushes', async t => {
  holds(
    t,
    fc.property(
      fc.array(anyBytes, { maxLength: 20 }),
      fc.integer({ min: 1, max: 700 }),
      (pushes, max) => {
        const tail = createTailBuffer(max)
        for (const bytes of pushes) tail.push(bytes)
        const all = Buffer.concat(pushes)
        const last = all.subarray(Math.max(0, all.length - max))
        return tail.bytes().equals(last) && tail.droppedBytes === all.length - last.length
      },
    ),
  )
  const large = createTailBuffer(10_000)
  let whole = Buffer.alloc(0)
  for (let turn = 0; turn < 300; turn += 1) {
    const bytes = Buffer.alloc(turn, turn % 256)
    whole = Buffer.concat([whole, bytes])
    large.push(bytes)
    if (!large.bytes().equals(whole.subarray(-10_000))) t.fail(`turn ${turn}`)
  }
  t.equal(large.droppedBytes, whole.length - 10_000)
})

function encoded(frames: readonly Frame[], limit?: number): unknown {
  const summary = createSummary(limit)
  for (const frame of frames) summary.add(frame)
  const pieces: Uint8Array[] = []
  const made = summary.encode()
  for (let next = made.next(); next.done !== true; next = made.next()) pieces.push(next.value)
  return Buffer.concat(pieces).toString()
}

t.test('the JSON in pieces is that of the object', async t => {
  const texts = [
    '',
    'a "quoted" \\ line\n\u0000\u001f\u007f\u2028',
    'é€😀'.repeat(30_000),
    Buffer.from([0xff, 0, 1]),
    Buffer.alloc(100_001, 0xfe),
  ]
  for (const stdout of texts) {
    for (const limit of [undefined, 0, 1, 7, 50_000]) {
      const frames = [start, output('stdout', Buffer.from(stdout)), exit, end]
      const summary = createSummary(limit)
      for (const frame of frames) summary.add(frame)
      t.equal(encoded(frames, limit), JSON.stringify(summary.finish()))
    }
  }
  t.match(
    thrownBy(() => createSummary().encode()),
    { code: 'internal' },
  )
})

t.test('where memory is refused, less is kept, and what is cut is counted', async t => {
  let held = 0
  const summary = createSummary(undefined, bytes => {
    if (bytes > 100_000) return false
    held = bytes
    return true
  })
  summary.add(start)
  for (let turn = 0; turn < 100; turn += 1) {
    summary.add(output('stdout', Buffer.alloc(10_000, 'a')))
    summary.add(output('stderr', Buffer.alloc(10_000, 'b')))
  }
  const { stdout = '', stderr = '', stdoutCut, stderrCut } = summary.finish()
  t.ok(held > 50_000)
  t.ok(stdout.length + stderr.length <= 100_000)
  t.equal(stdout, 'a'.repeat(1_000_000 - Number(stdoutCut)))
  t.equal(stderr, 'b'.repeat(1_000_000 - Number(stderrCut)))

  const none = createSummary(undefined, () => false)
  none.add(start)
  none.add(output('stdout', Buffer.from('begin')))
  none.add(output('stdout', Buffer.alloc(300_000, 'x')))
  none.add(output('stdout', Buffer.from('end')))
  t.equal(none.finish().stdout, `${'x'.repeat(FIRST_BYTES - 3)}end`)
  t.equal(none.finish().stdoutCut, 300_008 - FIRST_BYTES)
})
