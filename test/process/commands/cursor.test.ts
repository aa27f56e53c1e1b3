import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  createTally,
  frameStream,
  openOutput,
  openRun,
  tallyRest,
} from '../../helpers/frame-stream.ts'
import { bytesOf, run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { sha256 } from '../../helpers/sha256.ts'
import { inspect, MIB } from './support.ts'

const guestd = await startGuestd(t, { config: { reattachGraceMs: 30_000 } })

/** Numbers that are the same in every run: a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Characters of one to four bytes, none of which may be cut, and bytes that are no text. */
function makeFiles(textBytes: number, binaryBytes: number) {
  const line = 'plain é ß 漢字 𝄞𝄞 …'
  const lines: string[] = []
  for (let size = 0; size < textBytes; size += Buffer.byteLength(line) + 8)
    lines.push(`${String(lines.length).padStart(7, '0')}${line}`)
  const text = Buffer.from(`${lines.join('\n')}\n`)
  const binary = randomBytes(binaryBytes)
  writeFileSync(join(guestd.workspace, 'text'), text)
  writeFileSync(join(guestd.workspace, 'binary'), binary)
  return { text, binary }
}

t.test('a reader cut at any byte, 1,000 times, gets each byte once', async t => {
  const CUTS = 1_000
  const { text, binary } = makeFiles(20 * MIB, 10 * MIB)
  const random = createRandom(11)
  const tally = createTally()
  const body = { id: 'cut', command: 'cat text & cat binary >&2; wait; exit 3' }
  let cursor = 0
  let wrongStarts = 0
  for (let cut = 0; cut < CUTS; cut++) {
    // Within the header of the stream, within the first frames, or some frames later.
    const after = [random(3), random(400), random(150_000)][cut % 3] ?? 0
    const path = `/v1/commands/cut/output?cursor=${cursor}&follow=true&hold=true`
    const reply =
      cut === 0
        ? await guestd.open('POST', '/v1/commands', { body })
        : await guestd.open('GET', path)
    const stream = frameStream(reply, after)
    for (let frame = await stream.next(); frame !== null; frame = await stream.next()) {
      tally.add(frame)
      if (frame.type === 'start' && frame.cursor !== cursor) wrongStarts += 1
      cursor = frame.cursor
    }
  }
  t.ok(cursor < text.length + binary.length, `there is something left after byte ${cursor}`)
  const info = await inspect(guestd, 'cut')
  t.equal(info.state, 'running')
  t.ok(Number(info.firstCursor) <= cursor, 'what was not read yet is held')
  const last = await openOutput(guestd, 'cut', `cursor=${cursor}&follow=true&hold=true`)
  const [start, exit, end] = await tallyRest(last, tally)
  t.match(start, { type: 'start', id: 'cut', cursor })
  t.match(exit, { type: 'exit', exitCode: 3, cause: 'exit' })
  const total = text.length + binary.length
  t.match(end, { type: 'end', truncated: 0, cursor: total, stdoutBytes: text.length })
  t.equal(wrongStarts, 0)
  t.equal(tally.gaps, 0)
  t.equal(tally.misplaced, 0, 'every cursor is the one before plus the bytes of the frame')
  t.equal(tally.sha256('stdout'), sha256(text))
  t.equal(tally.sha256('stderr'), sha256(binary))
})

t.test('the repeated request takes the place of the stream that was cut', async t => {
  const { text } = makeFiles(4 * MIB, 0)
  const body = { id: 'again', command: 'cat text' }
  const first = frameStream(await guestd.open('POST', '/v1/commands', { body }), 100_000)
  await first.rest()
  await until(async () => Number((await inspect(guestd, 'again')).cursor) > 0)
  t.match(await inspect(guestd, 'again'), { state: 'running' })
  const tally = createTally()
  const others = await tallyRest(await openRun(guestd, body), tally)
  t.same(
    others.map(frame => frame.type),
    ['start', 'exit', 'end'],
  )
  t.equal(tally.sha256('stdout'), sha256(text))
})

t.test('without follow the answer stops at the present', async t => {
  const command = 'printf one; printf two >&2; while [ ! -e go ]; do sleep 0.02; done; printf three'
  const stream = await openRun(guestd, { id: 'present', command })
  await until(async () => (await inspect(guestd, 'present')).cursor === 6)
  const now = await (await openOutput(guestd, 'present')).rest()
  t.equal(now[0]?.type, 'start')
  t.notOk(
    now.some(frame => frame.type === 'exit' || frame.type === 'end'),
    'it has no end yet',
  )
  t.equal(bytesOf(now, 'stdout').toString(), 'one')
  t.equal(bytesOf(now, 'stderr').toString(), 'two')
  t.equal(now.at(-1)?.cursor, 6)
  const none = await (await openOutput(guestd, 'present', 'cursor=6')).rest()
  matchExactly(t, none, [{ type: 'start', cursor: 6 }])
  t.equal(none.length, 1)
  writeFileSync(join(guestd.workspace, 'go'), '')
  await stream.rest()
  const all = await (await openOutput(guestd, 'present')).rest()
  t.same(all.map(frame => frame.type).slice(-2), ['exit', 'end'])
  t.equal(bytesOf(all, 'stdout').toString(), 'onethree')
})

t.test('a cursor past the end is refused, at the end it is not', async t => {
  await run(guestd, { id: 'five', command: 'printf 12345' })
  for (const query of ['cursor=6', 'cursor=6&follow=true', 'cursor=9007199254740991']) {
    const reply = await guestd.request('GET', `/v1/commands/five/output?${query}`)
    t.match(reply.json(), { status: 416, code: 'cursor_out_of_range', field: 'cursor' }, query)
    t.equal(reply.status, 416)
  }
  const atEnd = await guestd.request('GET', '/v1/commands/five/output?cursor=5')
  matchExactly(t, atEnd.frames(), [{ type: 'start', cursor: 5 }, { type: 'exit' }, { type: 'end' }])
  const stream = await openRun(guestd, { id: 'runs', command: 'printf 1; sleep 30' })
  await stream.upTo('output')
  const early = await guestd.request('GET', '/v1/commands/runs/output?cursor=2&follow=true')
  t.equal(early.status, 416)
  await guestd.request('DELETE', '/v1/commands/runs')
  await stream.rest()
  const unknown = await guestd.request('GET', '/v1/commands/nobody-has-it/output')
  t.match(unknown.json(), { status: 404, code: 'command_not_found' })
})

t.test('late readers of an ended command get all of it, from any cursor on', async t => {
  const expected = 'a é 漢 𝄞 z'
  const { frames } = await run(guestd, { id: 'late', command: `printf '${expected}'; exit 9` })
  const bytes = Buffer.from(expected)
  for (let cursor = 0; cursor <= bytes.length; cursor++) {
    for (const query of [`cursor=${cursor}`, `cursor=${cursor}&follow=true&hold=true`]) {
      const reply = await guestd.request('GET', `/v1/commands/late/output?${query}`)
      const got = reply.frames()
      t.ok(bytesOf(got, 'stdout').equals(bytes.subarray(cursor)), query)
      t.match(got[0], { type: 'start', cursor })
      t.same(got.slice(-2), frames.slice(-2), 'the same exit and end')
    }
  }
})

t.test('what the ring no longer holds is an explicit gap', async t => {
  const ringBytes = 256 * 1024
  const small = await startGuestd(t, { config: { output: { ringBytes } } })
  const bytes = randomBytes(3 * MIB)
  writeFileSync(join(small.workspace, 'bytes'), bytes)
  const body = { id: 'wrapped', command: 'cat bytes', detach: true }
  t.equal((await small.request('POST', '/v1/commands', { body })).status, 202)
  await until(async () => (await inspect(small, 'wrapped')).state === 'ended')
  const info = await inspect(small, 'wrapped')
  const { firstCursor } = info as { firstCursor: number }
  t.ok(firstCursor >= bytes.length - ringBytes && firstCursor < bytes.length, `${firstCursor}`)
  t.match(info, { cursor: bytes.length, truncated: firstCursor, stdoutBytes: bytes.length })

  for (const [cursor, query] of [
    [0, ''],
    [0, 'follow=true'],
    [1_000, 'cursor=1000'],
  ] as const) {
    const got = await (await openOutput(small, 'wrapped', query)).rest()
    t.match(got[0], { type: 'start', cursor })
    const gap = { type: 'gap', from: cursor, to: firstCursor, cursor: firstCursor }
    t.same(got[1], gap)
    t.ok(bytesOf(got, 'stdout').equals(bytes.subarray(firstCursor)))
    t.match(got.at(-1), { type: 'end', truncated: firstCursor - cursor, cursor: bytes.length })
  }
  const within = await openOutput(small, 'wrapped', `cursor=${firstCursor + 5}`)
  const got = await within.rest()
  t.ok(bytesOf(got, 'stdout').equals(bytes.subarray(firstCursor + 5)))
  t.match(got.at(-1), { type: 'end', truncated: 0 })
})

t.test('a log without any byte has its frames, too', async t => {
  await run(guestd, { id: 'silent', command: 'exit 4' })
  const frames = await (await openOutput(guestd, 'silent', 'follow=true')).rest()
  matchExactly(t, frames, [
    { type: 'start' },
    { type: 'exit', exitCode: 4 },
    { type: 'end', cursor: 0 },
  ])
})
